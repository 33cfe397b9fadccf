import { sql, type SQL } from 'drizzle-orm';

/**
 * Advisory locks of two numbers, a namespace of their own: one of the job, one of the range by its place in the plan (−1: who finishes the
 * job). They end with the session that holds them.
 */
const lockOf = (job: string, range: number): SQL =>
  sql`hashtext(${`sluice replay ${job}`})::integer, ${range}::integer`;

/** True when it is this session's now. */
export function claimReplayRange(job: string, range: number): SQL<{ claimed: boolean }> {
  return sql`select pg_try_advisory_lock(${lockOf(job, range)}) as claimed`;
}

/** True when it was this session's. */
export function releaseReplayRange(job: string, range: number): SQL<{ released: boolean }> {
  return sql`select pg_advisory_unlock(${lockOf(job, range)}) as released`;
}
