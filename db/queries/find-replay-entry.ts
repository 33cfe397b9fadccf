import { sql, type SQL } from 'drizzle-orm';
import type { InsertedBatch } from './insert-replay-batch.ts';

/** The ledger entry of a replay that begins at an offset. By the primary key. */
export function findReplayEntry(
  job: string,
  partition: number,
  first: bigint,
): SQL<InsertedBatch & { readonly last_offset: string; readonly written_by: string }> {
  return sql`select last_offset, written_by, inserted, duplicate, days from replay_ledger
    where job = ${job} and partition = ${partition} and first_offset = ${first}::bigint`;
}
