import { sql, type SQL } from 'drizzle-orm';

export type ReplayState = 'running' | 'paused' | 'cancelled' | 'done';

export interface ReplayJobRow extends Record<string, unknown> {
  readonly job: string;
  readonly plan: unknown;
  readonly plan_sha256: Buffer;
  readonly state: ReplayState;
  readonly created_at: string;
  readonly created_by: string;
  readonly report: unknown;
}

/** Puts a job down, unless there is one of that name. */
export function insertReplayJob(job: string, plan: string, planSha256: Buffer): SQL {
  return sql`insert into replay_jobs (job, plan, plan_sha256) values (${job}, ${plan}::jsonb, ${planSha256})
    on conflict do nothing`;
}

/** One job, or all, the newest first. */
export function findReplayJobs(job?: string): SQL<ReplayJobRow> {
  return sql`select job, plan, plan_sha256, state, created_by, report,
      to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as created_at
    from replay_jobs ${job === undefined ? sql`` : sql`where job = ${job}`} order by replay_jobs.created_at desc, job`;
}

/** From one of some states to another. No row: it was in none of them. */
export function changeReplayState(
  job: string,
  from: readonly ReplayState[],
  to: Exclude<ReplayState, 'done'>,
): SQL<{ state: ReplayState }> {
  return sql`update replay_jobs set state = ${to}, changed_at = now()
    where job = ${job} and state = any(${sql.param(from)}::text[]) returning state`;
}

/** Once, by whoever finishes it. */
export function finishReplayJob(job: string, report: string): SQL {
  return sql`update replay_jobs set state = 'done', report = ${report}::jsonb, changed_at = now()
    where job = ${job} and state = 'running'`;
}

/** How fast the latest job of a stream that is done was, records a second. */
export function lastReplayRate(): SQL<{ rate: number | null }> {
  return sql`select (report ->> 'perSecond')::float8 as rate from replay_jobs
    where state = 'done' and (report ->> 'perSecond')::float8 > 0 order by changed_at desc limit 1`;
}
