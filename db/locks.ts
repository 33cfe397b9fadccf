import { sql } from 'drizzle-orm';
import { PipelineError } from '../shared/errors.ts';
import type { Session } from './client.ts';

/** Advisory locks of this database: arbitrary numbers, one namespace. The access log's trigger uses 5110009. */
export const lockKeys = {
  migrate: 5110001,
  maintain: 5110002,
  logins: 5110003,
  custody: 5110004,
  tokens: 5110005,
  tokenEpochs: 5110006,
  swap: 5110010,
} as const;

/**
 * Runs `work` while this session holds the advisory lock, waiting for it up to the session's statement timeout. A session that
 * breaks loses the lock, and so does one whose unlock fails: `withSession` closes it.
 *
 * @throws PipelineError DATABASE_UNAVAILABLE when somebody else holds it for too long.
 */
export async function withLock<T>(
  session: Session,
  key: (typeof lockKeys)[keyof typeof lockKeys],
  work: () => Promise<T>,
): Promise<T> {
  await session.execute(sql`select pg_advisory_lock(${key}::bigint)`);
  return unlockAfter(session, key, work);
}

async function unlockAfter<T>(
  session: Session,
  key: (typeof lockKeys)[keyof typeof lockKeys],
  work: () => Promise<T>,
): Promise<T> {
  const unlock = () => session.execute(sql`select pg_advisory_unlock(${key}::bigint)`);
  const result = await work().catch(async (error: unknown) => {
    // Why the work failed is what matters: a session that cannot unlock is closed, which unlocks.
    await unlock().catch(() => {});
    throw error;
  });
  await unlock();
  return result;
}

/**
 * {@link withLock} for whoever moves or destroys the rows or keys of a day: archive, restore, shred, swap. One at a time.
 *
 * @throws PipelineError CUSTODY_BUSY when another is at work for longer than the session's statement timeout.
 */
export async function withCustodyLock<T>(session: Session, work: () => Promise<T>): Promise<T> {
  let held = false;
  try {
    return await withLock(session, lockKeys.custody, () => {
      held = true;
      return work();
    });
  } catch (error) {
    const waited = error instanceof PipelineError && error.detail === 'SQLSTATE 57014';
    throw waited && !held ? new PipelineError('CUSTODY_BUSY') : error;
  }
}

/**
 * {@link withLock} for a run that swaps days with their shadows, or drops what that left. Whoever comes second is told so at once, not after the first.
 *
 * @throws PipelineError CUSTODY_BUSY
 */
export async function withSwapLock<T>(session: Session, work: () => Promise<T>): Promise<T> {
  const { rows } = await session.execute<{ free: boolean }>(
    sql`select pg_try_advisory_lock(${lockKeys.swap}::bigint) as free`,
  );
  if (rows[0]?.free !== true) throw new PipelineError('CUSTODY_BUSY');
  return unlockAfter(session, lockKeys.swap, work);
}

/**
 * Takes the lock for the rest of the transaction, after whoever holds it, shared or not.
 * @throws PipelineError DATABASE_UNAVAILABLE beyond `lock_timeout`.
 */
export async function lockTransaction(
  session: Session,
  key: (typeof lockKeys)[keyof typeof lockKeys],
): Promise<void> {
  await session.execute(sql`select pg_advisory_xact_lock(${key}::bigint)`);
}
