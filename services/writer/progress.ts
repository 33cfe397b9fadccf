import { PipelineError } from '../../shared/errors.ts';

/** Longer than a statement may take, and short enough that a supervisor's restart still helps. */
const stallMs = 120_000;

/**
 * Ties heartbeats to progress: a member that is stuck must lose its partitions, not keep them by heartbeating. An outage that is
 * being waited out counts as progress, for every attempt touches this.
 */
export class Progress {
  #last = performance.now();

  touch(): void {
    this.#last = performance.now();
  }

  /** For a wait that retries by itself: counts as progress for as long as it lasts. */
  async whileWaiting<T>(wait: Promise<T>): Promise<T> {
    const timer = setInterval(() => this.touch(), 1_000);
    try {
      return await wait;
    } finally {
      clearInterval(timer);
    }
  }

  /** @throws PipelineError STALLED */
  assertAlive(): void {
    const idle = performance.now() - this.#last;
    if (idle > stallMs)
      throw new PipelineError('STALLED', `the writer has stood still for ${Math.round(idle / 1000)} s`);
  }
}
