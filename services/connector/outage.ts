import { PipelineError } from '../../shared/errors.ts';
import { backoffMs, sleep } from '../../shared/lifecycle.ts';
import type { Logger } from '../../shared/log.ts';
import type { Clock } from '../../shared/time.ts';

/** Work goes on within two seconds of the server's return, and a fleet of connectors does not return in step. */
const waits = { baseMs: 50, capMs: 2_000 };
/** A server that fails every other call is one outage in the log, not hundreds. */
const quietMs = 10_000;

/**
 * What is known of one dependency, shared by everything that calls it. **One line when it goes and one when it is back**,
 * however many callers wait; when it flaps, one pair in ten seconds.
 */
export class Outage {
  readonly #what: string;
  readonly #log: Logger;
  readonly #clock: Clock;
  #sinceMs: number | undefined;
  #loggedAtMs = -Infinity;
  #logged = false;

  constructor(what: string, log: Logger, clock: Clock) {
    this.#what = what;
    this.#log = log;
    this.#clock = clock;
  }

  get down(): boolean {
    return this.#sinceMs !== undefined;
  }

  failed(error: PipelineError): void {
    if (this.#sinceMs !== undefined) return;
    const now = this.#clock();
    this.#sinceMs = now;
    this.#logged = now - this.#loggedAtMs >= quietMs;
    if (!this.#logged) return;
    this.#loggedAtMs = now;
    this.#log.warn({ what: this.#what, code: error.code, reason: error.message }, 'outage: waiting');
  }

  succeeded(): void {
    if (this.#sinceMs === undefined) return;
    const lastedMs = this.#clock() - this.#sinceMs;
    this.#sinceMs = undefined;
    if (this.#logged) this.#log.info({ what: this.#what, lastedMs }, 'outage over');
  }

  /**
   * Runs `attempt` until it succeeds, waiting between attempts with full jitter.
   * @throws PipelineError of action `stop`; the outage itself once `signal` has aborted; whatever is no PipelineError.
   */
  async waitOut<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        const result = await attempt();
        this.succeeded();
        return result;
      } catch (error) {
        if (!(error instanceof PipelineError) || error.action !== 'retry') throw error;
        this.failed(error);
        if (signal.aborted) throw error;
        await sleep(backoffMs(tries, waits), signal);
        if (signal.aborted) throw error;
      }
    }
  }
}
