import { hostname } from 'node:os';
import { pid } from 'node:process';
import { classifyDatabaseError } from '../../db/classify.ts';
import { openDatabase, type Database } from '../../db/client.ts';
import { checkPrivileges } from '../../db/queries/check-privileges.ts';
import { describeDays } from '../../db/queries/describe-days.ts';
import { finishReplayJob, insertReplayJob } from '../../db/queries/replay-job.ts';
import { openEncoder } from '../../db/rows/encoder.ts';
import { PipelineError } from '../../shared/errors.ts';
import { Health } from '../../shared/health/health.ts';
import { superviseHealth } from '../../shared/health/serve.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { runUntilStopped, type ProcessPort } from '../../shared/lifecycle.ts';
import { Outage } from '../../shared/outage.ts';
import type { ProgressTerminal } from '../../shared/progress.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { openObserved } from '../../shared/telemetry/observed.ts';
import { dayOf, type Clock } from '../../shared/time.ts';
import { peppers, transitKeys } from '../../shared/vault/keys.ts';
import { openStore } from '../../shared/vault/open-vault.ts';
import type { RunConfig } from './config.ts';
import { Governor } from './governor.ts';
import { liveLag } from './live-lag.ts';
import { dayStates } from './make-plan.ts';
import { ReplayObserver } from './observe.ts';
import { planHash, rangesOf, type ReplayPlan } from './plan.ts';
import { proveReplay } from './prove.ts';
import { readBatches } from './read-batches.ts';
import type { ReplayReport } from './report.ts';
import { runJob, type Ended } from './run.ts';
import { selectorOf } from './select.ts';
import { findJob, workedSeconds, type StoredJob } from './status.ts';
import { postgresStore } from './store.ts';
import { targetOf } from './target.ts';
import { Watch } from './watch.ts';

/**
 * Puts a job down, or finds that it is: **a name means one plan, for good**. Days are looked at again, for one may have been shredded or archived since.
 *
 * @throws PipelineError REPLAY_PLAN, REPLAY_STATE when it was cancelled, REPLAY_REFUSED; of the database
 */
export async function registerJob<M>(
  database: Database,
  stream: Stream<M>,
  plan: ReplayPlan,
  clock: Clock,
): Promise<StoredJob> {
  if (plan.stream !== stream.name || plan.transform !== stream.transform) {
    throw new PipelineError(
      'REPLAY_PLAN',
      `the plan is of ${plan.stream}, transform ${plan.transform}, and this is ${stream.name}, ${stream.transform}`,
    );
  }
  await assertRights(database, targetOf(stream, plan).name, plan);
  const hash = planHash(plan);
  await refuseClosedDays(database, stream, plan, clock);
  await database.execute(insertReplayJob(plan.job, JSON.stringify(plan), hash));
  const job = await findJob(database, plan.job);
  if (!job.planSha256.equals(hash)) {
    throw new PipelineError('REPLAY_PLAN', 'there is a replay of that name with another plan');
  }
  if (job.state === 'cancelled') throw new PipelineError('REPLAY_STATE', 'the replay was cancelled');
  return job;
}

/** @throws PipelineError SHADOW_MISSING, DATABASE_SCHEMA, DATABASE_FORBIDDEN */
async function assertRights(database: Database, table: string, plan: ReplayPlan): Promise<void> {
  const { rows } = await database.execute(
    checkPrivileges([
      { table, privilege: 'insert' },
      { table, privilege: 'select', column: 'create_date' },
      { table: 'replay_ledger', privilege: 'insert' },
      { table: 'data_keys', privilege: 'insert' },
    ]),
  );
  if (rows[0]?.held === null && plan.target === 'shadow') {
    throw new PipelineError('SHADOW_MISSING', `there is no ${table}: make it with "sluice replay shadow"`);
  }
  if (rows.some(({ held }) => held === null)) throw new PipelineError('DATABASE_SCHEMA');
  if (!rows.every(({ held }) => held === true)) {
    throw new PipelineError(
      'DATABASE_FORBIDDEN',
      'The role of REPLAY_DATABASE_URL may not do what a replay does',
    );
  }
  if (plan.target !== 'shadow') return;
  const days = [...new Set(plan.expected.map(({ day }) => day))].filter((day) => day !== 'none');
  const { rows: described } = await database.execute(describeDays(table, days));
  const missing = described.find(({ has_partition: there }) => !there);
  if (missing !== undefined) throw new PipelineError('SHADOW_MISSING', `${table} has no ${missing.day}`);
}

async function refuseClosedDays<M>(
  database: Database,
  stream: Stream<M>,
  plan: ReplayPlan,
  clock: Clock,
): Promise<void> {
  if (plan.acceptDead) return;
  const days = [...new Set(plan.expected.map(({ day }) => day))];
  const states = await dayStates(database, stream, days, dayOf(clock()));
  const closed = [...states].filter(([, state]) => state !== 'open' && state !== 'late');
  if (closed.length > 0) {
    throw new PipelineError('REPLAY_REFUSED', closed.map(([day, state]) => `${day} is ${state}`).join(', '));
  }
}

export interface ExecuteOptions {
  readonly json?: boolean;
  readonly pretty?: boolean;
  /** Where the bar is drawn. */
  readonly terminal: ProgressTerminal;
}

/**
 * Works on a job until it is done, cancelled or stopped by a signal, and proves it when it is done.
 * @throws PipelineError of action `stop`
 */
export async function executeJob(
  config: RunConfig,
  port: ProcessPort,
  options: ExecuteOptions,
  register: (database: Database) => Promise<StoredJob>,
): Promise<{ ended: Ended; report: ReplayReport | undefined }> {
  await using observed = await openObserved('replay', config, options);
  const { log, telemetry } = observed;
  const health = new Health('replay');
  await using stack = new AsyncDisposableStack();
  stack.use(await superviseHealth(health, { config, log, process: port, telemetry }));
  const worker = `${hostname()}:${pid}`;
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-replay', log });
  const open = (max: number, statementTimeoutMs: number) =>
    openDatabase(config.REPLAY_DATABASE_URL, {
      applicationName: 'sluice-replay',
      max,
      statementTimeoutMs,
      idleInTransactionMs: 10_000,
    });
  await using first = open(1, 30_000);
  const job = await register(first);
  const { plan } = job;
  if (job.state === 'done') return { ended: 'done', report: await storedReport(first, plan.job) };
  // One a range under way, one that holds the claims, one that looks for keys.
  await using database = open(plan.concurrency + 2, 30_000);
  await using slow = open(1, 600_000);
  const governor = new Governor({
    perSecond: plan.perSecond ?? Infinity,
    maxLiveLag: plan.maxLiveLag ?? undefined,
    maxLatencyMs: plan.maxLatencyMs ?? undefined,
  });
  const observer = new ReplayObserver(telemetry, plan.topic, governor);
  const outage = (what: string) =>
    new Outage(what, { log, classify: classifyDatabaseError, observer: health.dependency(what) });
  using watch = new Watch(plan, observer, governor, options);
  const outcome: { ended: Ended } = { ended: 'stopped' };
  await runUntilStopped(port, log, async (signals) => {
    const vault = await outage('vault').waitOut(() => openStore(config), signals.stop);
    health.started();
    const encoder = openEncoder({
      stream: userLogins,
      topic: plan.topic,
      connection: database,
      transitKeys: transitKeys(vault),
      peppers: peppers(vault),
      clock: Date.now,
      writtenBy: worker,
      wanted: wantedUsers(plan),
      dryRun: plan.target === 'dry-run',
    });
    try {
      outcome.ended = await runJob(
        {
          job: plan.job,
          ranges: rangesOf(plan),
          concurrency: plan.concurrency,
          database,
          governor,
          outage: outage('postgres claims'),
          worker,
          liveLag:
            plan.maxLiveLag === null
              ? undefined
              : () => liveLag(client, config.RAW_TOPIC, config.WRITER_GROUP),
          range: {
            job: plan.job,
            read: (range, options) => readBatches(client, plan.topic, range, options),
            store: postgresStore(database, targetOf(userLogins, plan)),
            encoder,
            selects: selectorOf(plan),
            governor,
            observer,
            outages: { kafka: outage('kafka'), keys: outage('keys'), postgres: outage('postgres') },
            writtenBy: worker,
          },
          onProgress: (positions, state) => watch.seen(positions, state),
        },
        signals,
        async () => {
          const proof = await proveReplay({
            client,
            database: slow,
            stream: userLogins,
            plan,
            signal: signals.stop,
            clock: Date.now,
            admit: (records) => governor.take(records, signals.stop),
          });
          if (signals.stop.aborted)
            throw new PipelineError('REPLAY_STATE', 'stopped while it was being proven');
          const seconds = await workedSeconds(slow, job);
          const report: ReplayReport = {
            ...proof,
            job: plan.job,
            stream: plan.stream,
            source: plan.source,
            target: plan.target,
            ranges: plan.ranges,
            seconds,
            perSecond: seconds > 0 ? proof.read / seconds : proof.read,
            finishedAt: new Date().toISOString(),
          };
          await slow.execute(finishReplayJob(plan.job, JSON.stringify(report)));
        },
      );
    } finally {
      await encoder.retireKeys();
    }
  });
  const { ended } = outcome;
  const over = ended === 'ended' || ended === 'done';
  return { ended, report: over ? await storedReport(first, plan.job) : undefined };
}

/** Messages of these users; undefined: of all. */
function wantedUsers(plan: ReplayPlan): ((message: { user_id: string }) => boolean) | undefined {
  if (plan.filter.userIds === null) return undefined;
  const users = new Set(plan.filter.userIds);
  return ({ user_id }) => users.has(user_id);
}

async function storedReport(database: Database, job: string): Promise<ReplayReport> {
  const { report } = await findJob(database, job);
  if (isReport(report)) return report;
  throw new PipelineError('REPLAY_STATE', 'the replay has no report of this version');
}

/** Whether that is a report as {@link executeJob} keeps it. */
export function isReport(value: unknown): value is ReplayReport {
  return typeof value === 'object' && value !== null && 'checksum' in value && 'problems' in value;
}
