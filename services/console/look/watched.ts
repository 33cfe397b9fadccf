import type { PipelineError } from '../../../shared/errors.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { knownOr } from '../../../shared/outage.ts';
import type { Clock } from '../../../shared/time.ts';
import type { Part } from './snapshot.ts';

/** Nobody waits longer for a server that is silent; its answer is taken when it comes. */
const patienceMs = 6_000;

/**
 * One thing that is looked at now and then: at most every `everyMs`, and never twice at once. **What fails is an answer too**, and what does not
 * answer holds nothing else up: then it is as it was last seen, or an outage.
 */
export class Watched<T> {
  readonly #options: {
    readonly everyMs: number;
    readonly clock: Clock;
    readonly silent: () => PipelineError;
  };
  readonly #look: () => Promise<T>;
  #last: Part<T> | undefined;
  #looking: Promise<void> | undefined;
  #beganMs = -Infinity;

  constructor(
    look: () => Promise<T>,
    options: {
      readonly everyMs: number;
      readonly clock: Clock;
      /** What to say of it while it has never answered. */
      readonly silent: () => PipelineError;
    },
  ) {
    this.#look = look;
    this.#options = options;
  }

  async look(): Promise<Part<T>> {
    const { everyMs, clock, silent } = this.#options;
    if (this.#looking === undefined && clock() - this.#beganMs >= everyMs) {
      this.#beganMs = clock();
      this.#looking = this.#take().finally(() => (this.#looking = undefined));
    }
    const impatient = new AbortController();
    await Promise.race([this.#looking, sleep(patienceMs, impatient.signal)]);
    impatient.abort();
    return this.#last ?? failed(silent(), clock());
  }

  async #take(): Promise<void> {
    try {
      const value = await this.#look();
      this.#last = { ok: true, atMs: this.#options.clock(), value };
    } catch (error) {
      this.#last = failed(knownOr(error), this.#options.clock());
    }
  }
}

function failed(error: PipelineError, atMs: number): { ok: false } & Part<never> {
  return { ok: false, atMs, code: error.code, reason: error.message };
}
