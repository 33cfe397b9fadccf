import type { Session } from '../../db/client.ts';
import { listReplayDead } from '../../db/queries/list-replay-dead.ts';
import { findReplayJobs, type ReplayState } from '../../db/queries/replay-job.ts';
import { replayPositions } from '../../db/queries/replay-positions.ts';
import { replayRuns, replayTotals } from '../../db/queries/replay-totals.ts';
import { listReplayWorkers } from '../../db/queries/replay-workers.ts';
import { PipelineError } from '../../shared/errors.ts';
import { table } from '../../shared/text-table.ts';
import { rangesOf, storedPlan, type ReplayPlan } from './plan.ts';
import type { ReplayCounts } from './prove.ts';

/** A job as the database has it. */
export interface StoredJob {
  readonly job: string;
  readonly plan: ReplayPlan;
  readonly planSha256: Buffer;
  readonly state: ReplayState;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly report: unknown;
}

/** @throws PipelineError REPLAY_STATE when there is none of that name; of the database */
export async function findJob(session: Session, job: string): Promise<StoredJob> {
  const { rows } = await session.execute(findReplayJobs(job));
  const [found] = rows;
  if (found === undefined) throw new PipelineError('REPLAY_STATE', 'there is no replay of that name');
  return {
    job: found.job,
    plan: storedPlan(found.plan),
    planSha256: found.plan_sha256,
    state: found.state,
    createdAt: found.created_at,
    createdBy: found.created_by,
    report: found.report,
  };
}

export interface JobStatus extends ReplayCounts {
  readonly job: string;
  readonly state: ReplayState;
  readonly source: string;
  readonly target: string;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly offsets: number;
  readonly offsetsDone: number;
  readonly ranges: readonly {
    readonly partition: number;
    readonly from: string;
    readonly to: string;
    readonly next: string;
  }[];
  /** Processes at work: seen within ten seconds. */
  readonly workers: readonly {
    readonly worker: string;
    readonly perSecond: number | null;
    readonly heldBy: string | null;
  }[];
  /** The first dead records, where they were asked for. Their dead letters are on the dead-letter topic. */
  readonly deadRecords?: readonly object[];
}

/** How a job stands. @throws PipelineError REPLAY_STATE; of the database */
export async function jobStatus(
  session: Session,
  name: string,
  options: { readonly dead: number | undefined },
): Promise<JobStatus> {
  const { plan, state, createdAt, createdBy } = await findJob(session, name);
  const ranges = rangesOf(plan);
  const { rows: positions } = await session.execute(replayPositions(name, ranges));
  const { rows: totals } = await session.execute(replayTotals(name));
  const { rows: workers } = await session.execute(listReplayWorkers(name));
  const sum = (pick: keyof ReplayCounts) => totals.reduce((total, row) => total + Number(row[pick]), 0);
  const dead =
    options.dead === undefined ? undefined : (await session.execute(listReplayDead(name, options.dead))).rows;
  return {
    job: name,
    state,
    source: plan.source,
    target: plan.target,
    createdAt,
    createdBy,
    offsets: Number(ranges.reduce((total, { from, to }) => total + to - from, 0n)),
    offsetsDone: Number(
      ranges.reduce((total, { from }, i) => total + BigInt(positions[i]?.next ?? from) - from, 0n),
    ),
    read: sum('read'),
    inserted: sum('inserted'),
    duplicate: sum('duplicate'),
    dead: sum('dead'),
    filtered: sum('filtered'),
    ranges: ranges.map(({ partition, from, to }, i) => ({
      partition,
      from: String(from),
      to: String(to),
      next: positions[i]?.next ?? String(from),
    })),
    workers: workers.map((one) => ({
      worker: one.worker,
      perSecond: one.per_second,
      heldBy: one.held_by,
    })),
    ...(dead === undefined
      ? {}
      : { deadRecords: dead.map(({ partition, dead: record }) => Object.assign(record, { partition })) }),
  };
}

/** Every job in a line, the newest first. @throws PipelineError of the database */
export async function listJobs(
  session: Session,
): Promise<{ job: string; state: ReplayState; createdAt: string; createdBy: string }[]> {
  const { rows } = await session.execute(findReplayJobs());
  return rows.map(({ job, state, created_at: createdAt, created_by: createdBy }) => ({
    job,
    state,
    createdAt,
    createdBy,
  }));
}

/** Since when the job has been at work, and until its last batch: seconds. @throws PipelineError of the database */
export async function workedSeconds(session: Session, { job, createdAt }: StoredJob): Promise<number> {
  const { rows: runs } = await session.execute(replayRuns(job));
  const ended = Math.max(...runs.map((run) => run.ended), Date.parse(createdAt) / 1_000);
  return ended - Date.parse(createdAt) / 1_000;
}

const n = (value: number) => value.toLocaleString('en-US');

/** For people. */
export function statusText(status: JobStatus): string {
  const share = status.offsets === 0 ? 100 : Math.floor((100 * status.offsetsDone) / status.offsets);
  return [
    `replay ${status.job}: ${status.state}, ${share} % of ${n(status.offsets)} offsets; ${status.source} → ${status.target}, since ${status.createdAt} by ${status.createdBy}\n`,
    `${n(status.read)} read = ${n(status.inserted)} inserted + ${n(status.duplicate)} duplicate + ${n(status.dead)} dead + ${n(status.filtered)} filtered\n\n`,
    table(
      [
        ['partition', 'from', 'next', 'to'],
        ...status.ranges.map(({ partition, from, next, to }) => [String(partition), from, next, to]),
      ],
      0,
    ),
    '\n',
    ...status.workers.map(
      ({ worker, perSecond, heldBy }) =>
        `${worker}: ${perSecond === null ? 'no limit' : `up to ${n(perSecond)}/s`}${heldBy === null ? '' : `, held by ${heldBy}`}\n`,
    ),
    ...(status.workers.length === 0 && status.state === 'running'
      ? [`no process is at work: sluice replay resume ${status.job}\n`]
      : []),
    ...(status.deadRecords ?? []).map((record) => `dead: ${JSON.stringify(record)}\n`),
  ].join('');
}
