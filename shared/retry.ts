import type { PipelineError } from './errors.ts';
import { backoffMs, sleep } from './lifecycle.ts';
import type { Logger } from './log.ts';

/**
 * An outage is waited out, however long: full jitter between 25 ms and a cap of one second, so that work goes on within
 * a second of the server's return without a herd.
 */
const waits = { baseMs: 25, capMs: 1_000 };

/**
 * Runs `attempt` until it succeeds. Errors of action `retry` are outages: waited out, logged once when they begin and once
 * when they end. Any other error is the caller's.
 *
 * @throws PipelineError of action `deadLetter` or `stop`, or the outage itself once `signal` has aborted.
 */
export async function waitOut<T>(
  attempt: () => Promise<T>,
  options: {
    what: string;
    log: Logger;
    signal: AbortSignal;
    classify: (error: unknown) => PipelineError;
    onOutage?: (down: boolean) => void;
  },
): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      const result = await attempt();
      if (tries > 0) {
        options.onOutage?.(false);
        options.log.info({ what: options.what, attempts: tries + 1 }, 'outage over');
      }
      return result;
    } catch (thrown) {
      const error = options.classify(thrown);
      if (error.action !== 'retry' || options.signal.aborted) throw error;
      if (tries === 0) {
        options.onOutage?.(true);
        options.log.warn({ what: options.what, code: error.code, reason: error.message }, 'outage: waiting');
      }
      await sleep(backoffMs(tries, waits) + 5, options.signal);
    }
  }
}
