import { PipelineError } from '../../shared/errors.ts';
import { backoffMs, sleep } from '../../shared/lifecycle.ts';
import type { Health } from '../../shared/health/health.ts';
import type { Logger } from '../../shared/log.ts';

/** A run asks every server again, so not as often as a loop that waits for one; but whoever waits for keys waits for us. */
const waits = { baseMs: 1_000, capMs: 5_000 };

/** Every call in it has a limit of its own, and there may be a day's work of shredding between them. */
const runLimitMs = 3_600_000;

/**
 * Runs `job` now and then `everyMs` after each run, until `stop` aborts. An outage is logged and tried again; whatever is not an
 * outage ends it.
 *
 * @throws PipelineError of action `stop`.
 */
export async function repeat(
  job: () => Promise<void>,
  options: {
    readonly everyMs: number;
    readonly stop: AbortSignal;
    readonly log: Logger;
    readonly sleep?: typeof sleep;
    /** Told how the runs go. */
    readonly health?: Health;
  },
): Promise<void> {
  const wait = options.sleep ?? sleep;
  const { health } = options;
  const runs = health?.loop('a run', runLimitMs);
  const servers = health?.dependency('servers');
  let failures = 0;
  while (!options.stop.aborted) {
    try {
      await (runs === undefined ? job() : runs.during(job));
      failures = 0;
      servers?.succeeded();
      health?.started();
    } catch (error) {
      if (!(error instanceof PipelineError) || error.action !== 'retry') throw error;
      failures += 1;
      servers?.failed(error);
      options.log.warn({ code: error.code, reason: error.message, failures }, 'run failed: trying again');
    }
    const pause = failures === 0 ? options.everyMs : backoffMs(failures, waits);
    await wait(Math.min(pause, options.everyMs), options.stop);
  }
}
