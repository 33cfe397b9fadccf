import { PipelineError } from '../../shared/errors.ts';
import { backoffMs, sleep } from '../../shared/lifecycle.ts';
import type { PinnedConnection } from '../client.ts';
import { detachPartition, finalizeDetach } from '../queries/detach-partition.ts';
import { partitionPlace, type PartitionPlace } from '../queries/partition-place.ts';
import { pendingPartition } from '../queries/pending-partition.ts';
import { lockTimeoutMs } from '../retry-locked.ts';
import { setTimeouts } from '../queries/set-timeouts.ts';

/** A reader may hold a snapshot for long; the detach waits for it and lets everybody else pass. */
const detachTimeoutMs = 60_000;
const attempts = 5;

/**
 * Makes a day's partition a table of its own, after whichever was cut off on its way to that, while inserts and reads go on.
 *
 * @throws PipelineError DATABASE_UNAVAILABLE while an old transaction may still read it, ARCHIVE_CONFLICT when there is no such table
 */
export async function detachDay(
  connection: PinnedConnection,
  table: string,
  partition: string,
): Promise<void> {
  for (let failures = 0; ;) {
    const where = await placeOfDay(connection, table, partition);
    if (where === 'detached') return;
    if (where === 'none') throw new PipelineError('ARCHIVE_CONFLICT', `there is no table ${partition}`);
    const { rows } = await connection.execute(pendingPartition(table));
    const pending = rows[0]?.name;
    try {
      await connection.execute(setTimeouts({ lockMs: lockTimeoutMs, statementMs: detachTimeoutMs }));
      await connection.execute(
        pending === undefined ? detachPartition(table, partition) : finalizeDetach(table, pending),
      );
    } catch (error) {
      const late =
        error instanceof PipelineError && ['SQLSTATE 55P03', 'SQLSTATE 57014'].includes(error.detail ?? '');
      if (!late) throw error;
      failures += 1;
      if (failures === attempts) {
        throw new PipelineError(
          'DATABASE_UNAVAILABLE',
          `a transaction that is still open may read ${partition}`,
        );
      }
      await sleep(backoffMs(failures, { baseMs: 200, capMs: 5_000 }));
    } finally {
      await connection.execute(setTimeouts(undefined)).catch(() => {});
    }
  }
}

/** Where the day's own table is. @throws PipelineError of the database */
export async function placeOfDay(
  connection: PinnedConnection,
  table: string,
  partition: string,
): Promise<PartitionPlace['place']> {
  const { rows } = await connection.execute(partitionPlace(table, partition));
  return rows[0]?.place ?? 'none';
}
