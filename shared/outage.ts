import { errorName, PipelineError, type ErrorCode } from './errors.ts';
import { backoffMs, sleep } from './lifecycle.ts';
import type { Logger } from './log.ts';
import type { Clock } from './time.ts';

/**
 * An outage is waited out, however long: full jitter between nothing and a cap of one second, so that work goes on within
 * a second of the server's return without a herd.
 */
const waits = { baseMs: 25, capMs: 1_000 };
/** A server that fails every other call is one outage in the log, not hundreds. */
const quietMs = 10_000;

/** A server comes back by itself. These do not: somebody must run "sluice maintain", so they are told as errors, for alarms. */
const alarms: ReadonlySet<ErrorCode> = new Set(['KEY_MISSING', 'PARTITION_MISSING']);

/** Who else wants to know how a dependency is. */
export interface OutageObserver {
  failed(error: PipelineError): void;
  succeeded(): void;
}

export interface OutageOptions {
  readonly log: Logger;
  readonly clock?: Clock;
  /** What an error of an attempt means (default: {@link knownOr UNKNOWN}). */
  readonly classify?: (error: unknown) => PipelineError;
  readonly observer?: OutageObserver | undefined;
}

/**
 * What is known of one dependency, shared by everything that calls it. **One line when it goes and one when it is back**, and one
 * for each further code in between, however many callers wait; when it flaps, one pair in ten seconds.
 */
export class Outage {
  readonly #what: string;
  readonly #options: OutageOptions;
  readonly #clock: Clock;
  readonly #classify: (error: unknown) => PipelineError;
  /** Codes told since it began. */
  readonly #told = new Set<ErrorCode>();
  #sinceMs: number | undefined;
  #loggedAtMs = -Infinity;
  #logged = false;

  constructor(what: string, options: OutageOptions) {
    this.#what = what;
    this.#options = options;
    this.#clock = options.clock ?? Date.now;
    this.#classify = options.classify ?? knownOr;
  }

  get down(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** For those that try again by themselves. */
  failed(error: PipelineError): void {
    this.#options.observer?.failed(error);
    if (this.#sinceMs === undefined) {
      const now = this.#clock();
      this.#sinceMs = now;
      this.#logged = now - this.#loggedAtMs >= quietMs;
      if (this.#logged) this.#loggedAtMs = now;
    }
    if (!this.#logged || this.#told.has(error.code)) return;
    this.#told.add(error.code);
    const { code, message: reason } = error;
    const level = alarms.has(code) ? 'error' : 'warn';
    this.#options.log[level]({ what: this.#what, code, reason }, 'outage: waiting');
  }

  /** The same of whatever an attempt has thrown. */
  failedBy(thrown: unknown): void {
    this.failed(this.#classify(thrown));
  }

  succeeded(): void {
    this.#options.observer?.succeeded();
    if (this.#sinceMs === undefined) return;
    const lastedMs = this.#clock() - this.#sinceMs;
    this.#sinceMs = undefined;
    this.#told.clear();
    if (this.#logged) this.#options.log.info({ what: this.#what, lastedMs }, 'outage over');
  }

  /**
   * Runs `attempt` until it succeeds, waiting between attempts. Errors of action `retry` are the outage; any other is the caller's.
   * @throws PipelineError of action `deadLetter` or `stop`; the outage itself once `signal` has aborted.
   */
  async waitOut<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        const result = await attempt();
        this.succeeded();
        return result;
      } catch (thrown) {
        const error = this.#classify(thrown);
        if (error.action !== 'retry') throw error;
        this.failed(error);
        if (signal.aborted) throw error;
        await sleep(backoffMs(tries, waits) + 5, signal);
        if (signal.aborted) throw error;
      }
    }
  }
}

/** A PipelineError as it is; anything else is UNKNOWN, by its name and never by its message. */
export function knownOr(error: unknown): PipelineError {
  return error instanceof PipelineError ? error : new PipelineError('UNKNOWN', errorName(error));
}
