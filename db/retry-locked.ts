import { PipelineError } from '../shared/errors.ts';
import { backoffMs, sleep } from '../shared/lifecycle.ts';

/** Nobody waits behind us longer than this for a lock that we wait for: we give up and queue again. */
export const lockTimeoutMs = 2_000;

/** A lock that stayed taken; a deadlock, which whoever takes several locks may be chosen to end. */
const lockStates = new Set(['SQLSTATE 55P03', 'SQLSTATE 40P01']);

/** Whether a lock was not to be had. */
export function isLocked(error: unknown): boolean {
  return error instanceof PipelineError && error.detail !== undefined && lockStates.has(error.detail);
}

/**
 * Does `work`, which gives up on a lock after {@link lockTimeoutMs} or sooner, again while the lock stays taken, a few times. `work` is told the
 * number of the attempt, from 1 on.
 * @throws what `work` throws: DATABASE_UNAVAILABLE when the lock stays taken
 */
export async function retryLocked<T>(work: (attempt: number) => Promise<T>, attempts = 5): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      if (!isLocked(error) || attempt === attempts) throw error;
      await sleep(backoffMs(attempt, { baseMs: 100, capMs: 2_000 }));
    }
  }
}
