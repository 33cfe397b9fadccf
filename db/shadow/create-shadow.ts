import { sql } from 'drizzle-orm';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import type { Connection, Session } from '../client.ts';
import { lockKeys, lockTransaction } from '../locks.ts';
import { partitionName } from '../partition-name.ts';
import { attachPartition } from '../queries/attach-partition.ts';
import { insertShadow, listShadows, listSwaps } from '../queries/change-shadow.ts';
import { createPartitionTable } from '../queries/create-partition-table.ts';
import { createShadowTable } from '../queries/create-shadow-table.ts';
import { addDayCheck } from '../queries/day-check.ts';
import { listArchivedDays } from '../queries/list-archived-days.ts';
import { listPartitionDays } from '../queries/list-partition-days.ts';
import { partitionPlace } from '../queries/partition-place.ts';
import { lockTimeoutMs } from '../retry-locked.ts';
import { shadowTable } from './names.ts';
import { giveShadowRights } from './rights.ts';

export interface ShadowOrder {
  /** Whose replay fills it. */
  readonly job: string;
  readonly days: readonly Day[];
  /** When the end of the replay's range was fixed, by the database's clock: what came later it cannot bring. Undefined: now. */
  readonly plannedAt?: Date | undefined;
}

export interface MadeShadow {
  /** The table to fill, and to fill through: `user_logins_shadow_<job>`. */
  readonly name: string;
  /** Days that got their partition now; those that had one, or have been swapped, are not among them. */
  readonly made: readonly Day[];
}

/**
 * Makes a table like the stream's, with a partition for each day, that a replay can fill and a swap can put in the place of the live one. In
 * one transaction, and any number of times: days that are missing are added. Live reads and inserts go on.
 *
 * Each partition has its day as a constraint from the beginning, while that costs nothing: attaching it later reads no row.
 *
 * @throws PipelineError USAGE for a name that cannot be one, DAY_ARCHIVED, SHADOW_CONFLICT for a day without partition or a name that is taken
 */
export function createShadow<M>(
  connection: Connection,
  stream: Stream<M>,
  { job, days, plannedAt }: ShadowOrder,
): Promise<MadeShadow> {
  const table = stream.name;
  const name = shadowTable(table, job);
  return connection.transaction(async (session) => {
    await session.execute(sql`set local lock_timeout = ${sql.raw(String(lockTimeoutMs))}`);
    await lockTransaction(session, lockKeys.swap);
    await checkDays(session, table, days);
    const { rowCount } = await session.execute(insertShadow(job, table, name, plannedAt));
    if (rowCount === 1) {
      await session.execute(createShadowTable(table, name));
      await giveShadowRights(session, table, name);
    } else if ((await session.execute(listShadows(table, job))).rows.length === 0) {
      throw new PipelineError('SHADOW_CONFLICT', `the name ${name} is taken by a shadow of another job`);
    }
    const { rows: swaps } = await session.execute(listSwaps(job));
    const known = new Set(swaps.map(({ day }) => day));
    const made: Day[] = [];
    for (const day of [...new Set(days)].filter((day) => !known.has(day)).sort()) {
      if (await makeDay(session, table, name, day)) made.push(day);
    }
    return { name, made };
  });
}

async function makeDay(session: Session, table: string, shadow: string, day: Day): Promise<boolean> {
  const partition = partitionName(shadow, day);
  const { rows } = await session.execute(partitionPlace(shadow, partition));
  if (rows[0]?.place === 'attached') return false;
  await session.execute(createPartitionTable(table, partition));
  await session.execute(addDayCheck(partition, day));
  await session.execute(attachPartition(shadow, partition, day));
  return true;
}

/** A day that is not in the table has no place for its shadow to take. */
async function checkDays(session: Session, table: string, days: readonly Day[]): Promise<void> {
  const { rows } = await session.execute(listPartitionDays(table));
  const there = new Set(rows.map(({ day }) => day));
  const [missing] = days.filter((day) => !there.has(day)).sort();
  if (missing === undefined) return;
  const { rows: archived } = await session.execute(listArchivedDays(table, missing));
  const inArchive = archived.some(({ day }) => day === missing);
  if (inArchive) throw new PipelineError('DAY_ARCHIVED', missing);
  throw new PipelineError('SHADOW_CONFLICT', `${table} has no partition of ${missing}`);
}
