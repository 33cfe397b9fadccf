import { PipelineError } from '../../shared/errors.ts';
import { backoffMs, sleep } from '../../shared/lifecycle.ts';
import type { Logger } from '../../shared/log.ts';

/** After an outage the next try comes within a minute, however rare the runs are. */
const waits = { baseMs: 1_000, capMs: 60_000 };

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
  },
): Promise<void> {
  const wait = options.sleep ?? sleep;
  let failures = 0;
  while (!options.stop.aborted) {
    try {
      await job();
      failures = 0;
    } catch (error) {
      if (!(error instanceof PipelineError) || error.action !== 'retry') throw error;
      failures += 1;
      options.log.warn({ code: error.code, reason: error.message, failures }, 'run failed: trying again');
    }
    const pause = failures === 0 ? options.everyMs : backoffMs(failures, waits);
    await wait(Math.min(pause, options.everyMs), options.stop);
  }
}

/** `"30s"`, `"15m"`, `"1h"`, `"1d"` in milliseconds; undefined for anything else, and below a second or above a day. */
export function durationMs(text: string): number | undefined {
  const [, count, unit] = /^([1-9]\d{0,5})(s|m|h|d)$/.exec(text) ?? [];
  const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ''];
  if (unitMs === undefined) return undefined;
  const ms = Number(count) * unitMs;
  return ms <= 86_400_000 ? ms : undefined;
}
