import { sql } from 'drizzle-orm';
import type { Connection } from '../../db/client.ts';
import { attachPartition } from '../../db/queries/attach-partition.ts';
import { createPartitionTable } from '../../db/queries/create-partition-table.ts';
import { listPartitions } from '../../db/queries/list-partitions.ts';
import { PipelineError } from '../../shared/errors.ts';
import { backoffMs, sleep } from '../../shared/lifecycle.ts';
import type { Day } from '../../shared/time.ts';

/** `partitionName("user_logins", "2026-11-24")` → `"user_logins_20261124"`. */
export function partitionName(table: string, day: Day): string {
  return `${table}_${day.replaceAll('-', '')}`;
}

/** Nobody waits behind us longer than this for a lock that we wait for: we give up and queue again. */
const lockTimeout = '2s';
const attempts = 5;

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

async function makePartition(connection: Connection, table: string, name: string, day: Day): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await connection.transaction(async (session) => {
        await session.execute(sql`set local lock_timeout = ${sql.raw(`'${lockTimeout}'`)}`);
        await session.execute(createPartitionTable(table, name));
        await session.execute(attachPartition(table, name, day));
      });
    } catch (error) {
      const locked = error instanceof PipelineError && error.detail === 'SQLSTATE 55P03';
      if (!locked || attempt === attempts) throw error;
      await sleep(backoffMs(attempt, { baseMs: 100, capMs: 2_000 }));
    }
  }
}
