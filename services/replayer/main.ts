import { writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { openDatabase, type Database } from '../../db/client.ts';
import { changeReplayState, type ReplayState } from '../../db/queries/replay-job.ts';
import { errorName, PipelineError } from '../../shared/errors.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { runUntilStopped } from '../../shared/lifecycle.ts';
import { createLogger } from '../../shared/log.ts';
import { writeText } from '../../shared/output.ts';
import { printableJson } from '../../shared/printable.ts';
import { Progress } from '../../shared/progress.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { databaseConfig, planConfig, runConfig } from './config.ts';
import { executeJob, isReport, registerJob } from './execute.ts';
import { makePlan, type Planned } from './make-plan.ts';
import { parsePlan, planText, type ReplayPlan } from './plan.ts';
import { proveReplay } from './prove.ts';
import { plannedText, reportText, verdict, type ReplayReport } from './report.ts';
import { readText, requestOf, type ReplayPlanOptions } from './request.ts';
import { findJob, jobStatus, listJobs, statusText } from './status.ts';

/** Of `nice`: a tenth of what a process at 0 gets while both want a core. */
const lowPriority = 10;

/** Of a statement that looks at a whole day. */
const statementTimeoutMs = 600_000;

/** `sluice replay plan`. Exit code 1 when something of it is refused; then no file is written. @throws PipelineError */
export async function replayPlan(options: ReplayPlanOptions): Promise<number> {
  const request = await requestOf(options);
  const config = planConfig(process.env);
  const log = createLogger({ service: 'replay', level: config.LOG_LEVEL });
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-replay', log });
  await using database = open(config.REPLAY_DATABASE_URL, 1);
  using progress = new Progress(process.stderr, { what: 'records looked at' });
  const topic = request.source === 'raw' ? config.RAW_TOPIC : config.DEAD_LETTER_TOPIC;
  let planned: Planned | undefined;
  await runUntilStopped(process, log, async ({ stop }) => {
    planned = await makePlan(
      {
        client,
        session: database,
        stream: userLogins,
        clock: Date.now,
        signal: stop,
        onRead: (records) => progress.add(records),
      },
      { ...request, topic },
    );
  });
  progress[Symbol.dispose]();
  if (planned === undefined) return 1;
  const refused = planned.refusals.length > 0;
  if (!refused && options.output !== undefined) await writePlan(options.output, planned.plan);
  await print(options.json === true, planned, plannedText);
  return refused ? 1 : 0;
}

async function writePlan(path: string, plan: ReplayPlan): Promise<void> {
  try {
    await writeFile(path, planText(plan), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    throw new PipelineError('OUTPUT_FAILED', `the plan's file: ${errorName(error)}`);
  }
}

export interface ReplayRunOptions {
  readonly json?: boolean;
  readonly pretty?: boolean;
}

/** `sluice replay run --plan FILE`. Exit code 1 unless it is done and proven. @throws PipelineError */
export async function replayRun(file: string, options: ReplayRunOptions): Promise<number> {
  const plan = parsePlan(await readText('--plan', file));
  return execute(options, async (database) => registerJob(database, userLogins, plan, Date.now));
}

/** `sluice replay resume JOB`: lets it go on, and works on it. @throws PipelineError */
export async function replayResume(
  job: string,
  options: ReplayRunOptions & { readonly detach?: boolean },
): Promise<number> {
  if (options.detach === true) return changeState(job, ['paused', 'running'], 'running', options);
  return execute(options, async (database) => {
    await database.execute(changeReplayState(job, ['paused'], 'running'));
    const found = await findJob(database, job);
    return registerJob(database, userLogins, found.plan, Date.now);
  });
}

async function execute(
  options: ReplayRunOptions,
  register: (database: Database) => ReturnType<typeof registerJob>,
): Promise<number> {
  const config = runConfig(process.env);
  const { ended, report } = await executeJob(
    config,
    process,
    { ...options, terminal: process.stderr },
    async (database) => {
      const job = await register(database);
      const { maxLiveLag, maxLatencyMs } = job.plan;
      // Where it shares a machine with the live writers, they are served first.
      if (maxLiveLag !== null || maxLatencyMs !== null) setPriority(lowPriority);
      return job;
    },
  );
  if (report !== undefined) await print(options.json === true, report, reportText);
  else await print(options.json === true, { ended }, () => `${endedText[ended]}\n`);
  return report !== undefined && report.problems.length === 0 ? 0 : 1;
}

const endedText = {
  ended: 'done',
  done: 'done',
  cancelled: 'cancelled: what it has stored stays',
  stopped: 'stopped before its end: "sluice replay resume" goes on from here',
} as const;

/** `sluice replay pause JOB`: every process stops reading within a second, and waits. @throws PipelineError */
export function replayPause(job: string, options: { readonly json?: boolean }): Promise<number> {
  return changeState(job, ['running', 'paused'], 'paused', options);
}

/** `sluice replay cancel JOB`: for good; what it has stored stays. @throws PipelineError */
export function replayCancel(job: string, options: { readonly json?: boolean }): Promise<number> {
  return changeState(job, ['running', 'paused', 'cancelled'], 'cancelled', options);
}

async function changeState(
  job: string,
  from: readonly ReplayState[],
  to: Exclude<ReplayState, 'done'>,
  options: { readonly json?: boolean },
): Promise<number> {
  await using database = open(databaseConfig(process.env).REPLAY_DATABASE_URL, 1);
  const { rowCount } = await database.execute(changeReplayState(job, from, to));
  if (rowCount === 0) {
    const { state } = await findJob(database, job);
    throw new PipelineError('REPLAY_STATE', `the replay is ${state}`);
  }
  await print(options.json === true, { job, state: to }, () => `replay ${job}: ${to}\n`);
  return 0;
}

/** `sluice replay status [JOB]`. @throws PipelineError */
export async function replayStatus(
  job: string | undefined,
  options: { readonly json?: boolean; readonly dead?: number },
): Promise<number> {
  await using database = open(databaseConfig(process.env).REPLAY_DATABASE_URL, 1);
  if (job !== undefined) {
    await print(options.json === true, await jobStatus(database, job, { dead: options.dead }), statusText);
    return 0;
  }
  const jobs = await listJobs(database);
  await print(options.json === true, jobs, (all) =>
    all.length === 0
      ? 'no replays\n'
      : all.map((one) => `${one.job}  ${one.state}  ${one.createdAt}  ${one.createdBy}\n`).join(''),
  );
  return 0;
}

/** `sluice replay verify JOB`: the proof anew. Exit code 1 when it is none, or not the one that was kept. @throws PipelineError */
export async function replayVerify(job: string, options: { readonly json?: boolean }): Promise<number> {
  const config = planConfig(process.env);
  const log = createLogger({ service: 'replay', level: config.LOG_LEVEL });
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-replay', log });
  await using database = open(config.REPLAY_DATABASE_URL, 1);
  const { plan, report } = await findJob(database, job);
  using progress = new Progress(process.stderr, { what: 'records looked at' });
  const { signal } = new AbortController();
  const proof = await proveReplay({
    client,
    database,
    stream: userLogins,
    plan,
    signal,
    clock: Date.now,
    onRead: (records) => progress.add(records),
  });
  progress[Symbol.dispose]();
  const kept = isReport(report) ? report : undefined;
  const problems = [...proof.problems, ...(kept === undefined ? [] : changes(kept, proof))];
  const outcome = { ...proof, job, problems };
  await print(options.json === true, outcome, verdict);
  return problems.length === 0 ? 0 : 1;
}

/** What is not as it was when the job was done, and is not explained by what may change. */
function changes(kept: ReplayReport, now: Pick<ReplayReport, 'checksum'>): string[] {
  const [then, today] = [kept.checksum, now.checksum];
  if (then.rows !== today.rows || then.identities !== today.identities) {
    return ['the rows are not those that the report counted'];
  }
  const explained = then.erased !== today.erased || then.epochs.join(' ') !== today.epochs.join(' ');
  return then.tokens === today.tokens || explained ? [] : ['the tokens of the rows have changed'];
}

function open(url: string, max: number): Database {
  return openDatabase(url, { applicationName: 'sluice-replay', max, statementTimeoutMs });
}

function print<T>(json: boolean, value: T, text: (value: T) => string): Promise<void> {
  return writeText(process.stdout, json ? `${printableJson(value)}\n` : text(value));
}
