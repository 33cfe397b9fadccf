import { sql } from 'drizzle-orm';
import type { Connection } from '../../db/client.ts';
import { partitionName } from '../../db/partition-name.ts';
import { attachPartition } from '../../db/queries/attach-partition.ts';
import { createPartitionTable } from '../../db/queries/create-partition-table.ts';
import { listPartitions } from '../../db/queries/list-partitions.ts';
import { lockTimeoutMs, retryLocked } from '../../db/retry-locked.ts';
import type { Day } from '../../shared/time.ts';

/**
 * Makes the partitions that are missing for `days` and returns their names. Each is made and attached in one transaction, so that
 * a crash leaves none half made, and with locks that let inserts and reads go on.
 *
 * @throws PipelineError DATABASE_UNAVAILABLE when a lock stays taken.
 */
export async function ensurePartitions(
  connection: Connection,
  table: string,
  days: readonly Day[],
): Promise<string[]> {
  const { rows } = await connection.execute(listPartitions(table));
  const existing = new Set(rows.map(({ name }) => name));
  const made: string[] = [];
  for (const day of days) {
    const name = partitionName(table, day);
    if (existing.has(name)) continue;
    await makePartition(connection, table, name, day);
    made.push(name);
  }
  return made;
}

function makePartition(connection: Connection, table: string, name: string, day: Day): Promise<void> {
  return retryLocked(() =>
    connection.transaction(async (session) => {
      await session.execute(sql`set local lock_timeout = ${sql.raw(String(lockTimeoutMs))}`);
      await session.execute(createPartitionTable(table, name));
      await session.execute(attachPartition(table, name, day));
    }),
  );
}
