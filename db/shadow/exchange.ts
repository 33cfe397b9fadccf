import { PipelineError } from '../../shared/errors.ts';
import type { Day } from '../../shared/time.ts';
import type { Connection, Session } from '../client.ts';
import { attachPartition } from '../queries/attach-partition.ts';
import { carryRows, oldestTransaction } from '../queries/carry-rows.ts';
import { noteSwap, type SwapEntry } from '../queries/change-shadow.ts';
import { dropDayCheck } from '../queries/day-check.ts';
import { detachAtOnce } from '../queries/detach-partition.ts';
import { limitTransaction, lockTable } from '../queries/lock-table.ts';
import { renameTable } from '../queries/rename-table.ts';
import { isLocked, retryLocked } from '../retry-locked.ts';
import { giveAsideRights, takeAsideRights } from './rights.ts';

export interface Exchange {
  readonly table: string;
  readonly job: string;
  readonly day: Day;
  /** The day's partition, and the name that a partition has. */
  readonly live: string;
  /** The table that takes its place, and the shadow that it is a partition of. */
  readonly incoming: string;
  readonly shadow: string | undefined;
  /** What the one that was live is called from then on. */
  readonly aside: string;
  readonly columns: readonly string[];
  /** What was written to the day by this transaction or later ones is still to be carried over. */
  readonly newerThan: string;
  /** What the day remembers of it: what it is from then on, and how many rows had been carried over before. */
  readonly state: SwapEntry['state'];
  readonly carried: number;
}

export interface ExchangeLimits {
  /** Readers never wait longer than this for us to get a lock (and less again while we hold it). */
  readonly maxWaitMs: number;
  readonly attempts: number;
}

export interface Exchanged {
  /** Rows that have been carried over, all in all. */
  readonly carried: number;
  readonly attempts: number;
  /** How long readers were locked out, from the lock to the commit. */
  readonly heldMs: number;
}

/** The first attempt asks for readers' patience of so long; each that follows for twice as much, up to the limit. */
const firstWaitMs = 50;
/** For what readers do not wait for: beyond Postgres' deadlock_timeout (1 s), after which an autovacuum gives way. */
const patientMs = 5_000;
/** Of one statement: to carry over what came late the day's table is read once. */
const statementMs = 20_000;

/**
 * Two tables of a day change places: **a query sees the day as it was or as it is, never without it, and no row that was live before is missing after**.
 * One transaction, in this order:
 *
 * 1. locks that no reader or writer minds: on the shadow, and on the day's partition against vacuum;
 * 2. the table against writers ("share row exclusive"): they wait, readers do not. What was written since the last look is carried over;
 * 3. the table against everybody ("access exclusive"), detach, two names, attach. Nothing is read or checked under this lock, for the day's constraint
 *    is there already.
 *
 * Before each attempt what has come since the last look is carried over without a lock, so that little is left to do under one. A lock that is not
 * to be had soon is given up, with everything before it, and asked for again later: who reads for long is waited for, and nobody waits behind us
 * meanwhile.
 *
 * @throws PipelineError DATABASE_UNAVAILABLE when a transaction keeps the table to itself for all attempts
 */
export async function exchange(
  connection: Connection,
  of: Exchange,
  { maxWaitMs, attempts }: ExchangeLimits,
): Promise<Exchanged> {
  let { newerThan, carried } = of;
  try {
    return await retryLocked(async (attempt) => {
      const waitMs = Math.min(maxWaitMs, firstWaitMs * 2 ** (attempt - 1));
      const { rows } = await connection.execute(oldestTransaction());
      carried += await carryOver(connection, of, newerThan);
      newerThan = rows[0]?.xid ?? newerThan;
      let lockedAt = 0;
      const late = await connection.transaction(async (session) => {
        await prepareLocks(session, of, waitMs);
        const rest = await carryOver(session, of, newerThan);
        await session.execute(lockTable(of.table, 'access exclusive'));
        lockedAt = performance.now();
        await changePlaces(session, of);
        const note = { state: of.state, newerThan, carried: carried + rest };
        await session.execute(noteSwap(of.job, of.day, note));
        return rest;
      });
      return { carried: carried + late, attempts: attempt, heldMs: performance.now() - lockedAt };
    }, attempts);
  } catch (error) {
    if (!isLocked(error)) throw error;
    throw new PipelineError('DATABASE_UNAVAILABLE', `a transaction that is still open uses ${of.table}`);
  }
}

async function carryOver(session: Session, of: Exchange, newerThan: string): Promise<number> {
  const { rowCount } = await session.execute(carryRows(of.live, of.incoming, of.columns, { newerThan }));
  return rowCount;
}

/** Everything that readers do not wait for. */
async function prepareLocks(session: Session, of: Exchange, waitMs: number): Promise<void> {
  await session.execute(limitTransaction({ lockMs: patientMs, statementMs }));
  // Parents first, as whoever reads or writes a partition takes them.
  if (of.shadow !== undefined) await session.execute(lockTable(of.shadow, 'access exclusive'));
  await session.execute(lockTable(of.incoming, 'access exclusive'));
  await session.execute(lockTable(of.live, 'share update exclusive'));
  if (of.shadow !== undefined) await session.execute(detachAtOnce(of.shadow, of.incoming));
  await takeAsideRights(session, of.incoming);
  await giveAsideRights(session, of.table, of.live);
  await session.execute(limitTransaction({ lockMs: waitMs, statementMs }));
  await session.execute(lockTable(of.table, 'share row exclusive'));
}

async function changePlaces(session: Session, of: Exchange): Promise<void> {
  await session.execute(detachAtOnce(of.table, of.live));
  await session.execute(renameTable(of.live, of.aside));
  await session.execute(renameTable(of.incoming, of.live));
  await session.execute(attachPartition(of.table, of.live, of.day));
  await session.execute(dropDayCheck(of.live));
}
