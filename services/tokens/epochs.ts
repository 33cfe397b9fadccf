import { sql } from 'drizzle-orm';
import type { Connection, Session } from '../../db/client.ts';
import { lockKeys, lockTransaction } from '../../db/locks.ts';
import { listTokenEpochs } from '../../db/queries/list-token-epochs.ts';
import { PipelineError } from '../../shared/errors.ts';
import { backoffMs, sleep } from '../../shared/lifecycle.ts';

export interface Epochs {
  readonly current: number;
  /** While a window is open. */
  readonly prior: number | undefined;
  /** The highest number given so far. */
  readonly latest: number;
}

/** @throws PipelineError DATABASE_SCHEMA when no epoch is current. */
export async function readEpochs(session: Session): Promise<Epochs> {
  const { rows } = await session.execute(listTokenEpochs());
  const current = rows.find(({ state }) => state === 'current')?.epoch;
  const latest = rows.at(-1)?.epoch;
  if (current === undefined || latest === undefined) {
    throw new PipelineError('DATABASE_SCHEMA', 'token_epochs has no current epoch');
  }
  return { current, prior: rows.find(({ state }) => state === 'prior')?.epoch, latest };
}

/** Writers queue behind us while we wait for one that is slow: we give up and queue again. */
const lockTimeout = '2s';
const attempts = 10;

/**
 * Runs `change` in a transaction that no insert overlaps: inserts under way are waited for, and those that come later see what
 * was changed. **So a row is committed with tokens of the epochs that were there when it was, and of no others.**
 *
 * @throws PipelineError DATABASE_UNAVAILABLE when a writer does not end its transaction.
 */
export async function changeEpochs<T>(
  connection: Connection,
  change: (session: Session) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await connection.transaction(async (session) => {
        await session.execute(sql`set local lock_timeout = ${sql.raw(`'${lockTimeout}'`)}`);
        await lockTransaction(session, lockKeys.tokenEpochs);
        return change(session);
      });
    } catch (error) {
      const locked = error instanceof PipelineError && error.detail === 'SQLSTATE 55P03';
      if (!locked || attempt === attempts) throw error;
      await sleep(backoffMs(attempt, { baseMs: 100, capMs: 2_000 }));
    }
  }
}
