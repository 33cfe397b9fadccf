import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { maintainDays } from '../../services/maintenance/maintain.ts';
import { ensureTopics } from '../../shared/kafka/topics.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { createFileVault, openKeyKeeper } from '../../shared/vault/open-vault.ts';
import type { Database } from '../../db/client.ts';
import { createDatabase, type TestDatabase } from './database.ts';
import { createQueue, testRegion, type QueueOptions, type TestQueue } from './queues.ts';
import { ended, startProcess, type ServiceProcess } from './service-process.ts';
import { randomName, testKafkaClient } from './topics.ts';

export type { ServiceProcess } from './service-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The servers a pipeline runs on: what test/global-setup.ts provides. */
export interface Servers {
  readonly postgresAdminUrl: string;
  readonly kafkaBrokers: string;
  readonly sqsEndpoint: string;
}

export interface PipelineOptions {
  readonly partitions?: number;
  /** Of the topics; 1 when left out. With more, all but one must have a record before it is acknowledged. */
  readonly replication?: number;
  readonly queue?: QueueOptions;
  readonly env?: Readonly<Record<string, string>>;
}

/** Topics, queue, database and vault of its own on shared servers, and services as processes. */
export interface Pipeline extends AsyncDisposable {
  readonly database: TestDatabase;
  /** The database as its owner. */
  readonly admin: Database;
  readonly queue: TestQueue;
  readonly rawTopic: string;
  readonly deadLetterTopic: string;
  readonly group: string;
  readonly kafkaBrokers: string;
  readonly env: Readonly<Record<string, string>>;
  readonly directory: string;
  /** Runs `sluice <command>` in the background. */
  start(
    command: 'connector' | 'writer' | 'maintain' | 'console' | 'replay',
    env?: Readonly<Record<string, string>>,
    args?: readonly string[],
    /** Words before the command, which end as that process. */
    within?: readonly string[],
  ): Promise<ServiceProcess>;
  /** Runs `sluice …` to its end. */
  run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  /** The same with other settings. */
  runWith(
    env: Readonly<Record<string, string>>,
    ...args: string[]
  ): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Everything that any service of this pipeline has logged. */
  logs(): Promise<string>;
}

export async function createPipeline(servers: Servers, options: PipelineOptions = {}): Promise<Pipeline> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-pipeline-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const database = cleanup.use(await createDatabase(servers.postgresAdminUrl));
  const admin = database.open('admin');
  const rawTopic = randomName('raw');
  const deadLetterTopic = randomName('dead');
  const group = randomName('writers');
  const replication = options.replication ?? 1;
  const topic = {
    partitions: options.partitions ?? 8,
    replication,
    minInsync: Math.max(1, replication - 1),
  };
  await ensureTopics(testKafkaClient(servers.kafkaBrokers), [
    { ...topic, topic: rawTopic },
    { ...topic, topic: deadLetterTopic },
  ]);
  const queue = await createQueue(servers.sqsEndpoint, options.queue ?? {});
  const vaultUrl = `file:${directory}/vault`;
  const recoveryKeyFile = `${directory}/credentials/recoverer.key`;
  await createFileVault(`${directory}/vault`, recoveryKeyFile);
  await maintainDays({
    database: admin,
    keeper: await openKeyKeeper({ VAULT_URL: vaultUrl }),
    tables: ['user_logins'],
    clock: Date.now,
  });
  const env = {
    PATH: `${root}node_modules/.bin:/usr/bin:/bin`,
    LOG_LEVEL: 'info',
    AWS_REGION: testRegion,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL_SQS: servers.sqsEndpoint,
    SQS_QUEUE_URL: queue.queueUrl,
    KAFKA_BROKERS: servers.kafkaBrokers,
    RAW_TOPIC: rawTopic,
    DEAD_LETTER_TOPIC: deadLetterTopic,
    WRITER_GROUP: group,
    TOPIC_PARTITIONS: String(topic.partitions),
    DATABASE_URL: database.urls.writer,
    ADMIN_DATABASE_URL: database.urls.admin,
    RECOVERY_DATABASE_URL: database.urls.recoverer,
    OPERATOR_DATABASE_URL: database.urls.operator,
    SHRED_DATABASE_URL: database.urls.shredder,
    TOKENS_DATABASE_URL: database.urls.tokenizer,
    APPROVAL_DATABASE_URL: database.urls.approver,
    MONITOR_DATABASE_URL: database.urls.monitor,
    REPLAY_DATABASE_URL: database.urls.replayer,
    VAULT_URL: vaultUrl,
    VAULT_RECOVERY_KEY_FILE: recoveryKeyFile,
    ARCHIVE_URL: `file:${directory}/archive`,
    ...options.env,
  };
  const processes: ServiceProcess[] = [];
  cleanup.defer(async () => {
    for (const one of processes) if (one.ended === undefined) await one.kill('SIGKILL');
  });
  const owned = cleanup.move();
  return {
    database,
    admin,
    queue,
    rawTopic,
    deadLetterTopic,
    group,
    kafkaBrokers: servers.kafkaBrokers,
    env,
    directory,
    async start(command, more = {}, args = [], within = []) {
      const logFile = join(directory, `${command}-${processes.length}.log`);
      const [program = '', ...rest] = [...within, process.execPath, `${root}bin/sluice.js`, command, ...args];
      const started = await startProcess(program, rest, logFile, { ...env, ...more });
      processes.push(started);
      return started;
    },
    run: (...args) => runToEnd(args, env),
    runWith: (more, ...args) => runToEnd(args, { ...env, ...more }),
    logs: async () => (await Promise.all(processes.map(({ logFile }) => readFile(logFile, 'utf8')))).join(''),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function runToEnd(args: readonly string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [`${root}bin/sluice.js`, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await ended(child);
  return { code: typeof code === 'number' ? code : 1, stdout, stderr };
}

/** Waits until `condition` holds, looking every 100 ms; fails with `what` after two minutes. */
export async function eventually(
  what: string,
  condition: () => Promise<boolean> | boolean,
  withinMs = 120_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs / 1_000} s: ${what}`);
    await sleep(100);
  }
}
