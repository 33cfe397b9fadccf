import { sql, type SQL } from 'drizzle-orm';
import type { ReplayState } from './replay-job.ts';

/**
 * A process says that it works on a job, and learns the job's state. A write on purpose: what it takes is what a commit takes at the
 * moment.
 */
export function noteReplayWorker(
  job: string,
  worker: string,
  pace: { readonly perSecond: number | null; readonly heldBy: string | null },
): SQL<{ state: ReplayState }> {
  return sql`with noted as (
      insert into replay_workers (job, worker, per_second, held_by)
      values (${job}, ${worker}, ${pace.perSecond}::integer, ${pace.heldBy})
      on conflict (job, worker) do update
      set seen_at = now(), per_second = excluded.per_second, held_by = excluded.held_by
    )
    select state from replay_jobs where job = ${job}`;
}

export interface ReplayWorker extends Record<string, unknown> {
  readonly worker: string;
  readonly per_second: number | null;
  readonly held_by: string | null;
}

/** Those seen within ten seconds. */
export function listReplayWorkers(job: string): SQL<ReplayWorker> {
  return sql`select worker, per_second, held_by from replay_workers
    where job = ${job} and seen_at > now() - interval '10 seconds' order by worker`;
}
