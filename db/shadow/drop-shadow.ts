import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import type { PinnedConnection } from '../client.ts';
import { withCustodyLock } from '../locks.ts';
import { partitionName } from '../partition-name.ts';
import { countMissing } from '../queries/carry-rows.ts';
import { deleteShadow, noteCleaned } from '../queries/change-shadow.ts';
import { dropTable } from '../queries/drop-table.ts';
import { findShadow, type Shadow } from './find-shadow.ts';

export interface DroppedShadow {
  readonly job: string;
  readonly days: readonly Day[];
  /** Tables that are gone. */
  readonly tables: readonly string[];
}

/**
 * Drops what a backfill has left: the shadow, with days that were not swapped, and what the swapped days were before. **No row is lost with them:**
 * each that a day had before must be in the live table, under its identity. After this there is no way back.
 *
 * The caller holds the swap lock.
 *
 * @throws PipelineError SHADOW_MISSING; SHADOW_CONFLICT when a row would be lost; CUSTODY_BUSY
 */
export function dropShadow<M>(
  connection: PinnedConnection,
  stream: Stream<M>,
  job: string,
): Promise<DroppedShadow> {
  return withCustodyLock(connection, async () => {
    const shadow = await findShadow(connection, stream.name, job);
    await checkNoLoss(connection, stream.name, shadow);
    const tables = [...shadow.days.map(({ aside }) => aside), shadow.name];
    await connection.transaction(async (session) => {
      for (const table of tables) await session.execute(dropTable(table));
      await session.execute(noteCleaned(job));
      await session.execute(deleteShadow(job));
    });
    return { job, days: shadow.days.map(({ day }) => day), tables };
  });
}

async function checkNoLoss(connection: PinnedConnection, table: string, { days }: Shadow): Promise<void> {
  for (const { day, place, aside } of days) {
    if (place !== 'swapped') continue;
    const { rows } = await connection.execute(countMissing(aside, partitionName(table, day)));
    const missing = Number(rows[0]?.missing ?? 0);
    if (missing > 0) {
      throw new PipelineError('SHADOW_CONFLICT', `${missing} rows of ${aside} are not in ${table}`);
    }
  }
}
