import { sql, type SQL } from 'drizzle-orm';
import type { ReplayDead } from './insert-replay-batch.ts';

/** The dead records of a job, by partition and offset, `limit` at most. Reads its ledger. */
export function listReplayDead(
  job: string,
  limit: number | undefined,
): SQL<{ readonly partition: number; readonly dead: ReplayDead }> {
  return sql`select partition, dead.value as dead
    from replay_ledger cross join jsonb_array_elements(dead_records) with ordinality as dead (value, nth)
    where job = ${job} and replay_ledger.dead > 0
    order by partition, first_offset, nth
    ${limit === undefined ? sql`` : sql`limit ${limit}`}`;
}
