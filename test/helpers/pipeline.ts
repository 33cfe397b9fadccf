import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
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
import { randomName, testKafkaClient } from './topics.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The servers a pipeline runs on: what test/global-setup.ts provides. */
export interface Servers {
  readonly postgresAdminUrl: string;
  readonly kafkaBrokers: string;
  readonly sqsEndpoint: string;
}

export interface PipelineOptions {
  readonly partitions?: number;
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
  start(command: 'connector' | 'writer', env?: Readonly<Record<string, string>>): Promise<ServiceProcess>;
  /** Runs `sluice …` to its end. */
  run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  /** Everything that any service of this pipeline has logged. */
  logs(): Promise<string>;
}

export interface ServiceProcess {
  readonly pid: number;
  readonly logFile: string;
  /** The exit code, or the signal that ended it; undefined while it runs. */
  readonly ended: number | string | undefined;
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | string>;
  /** Peak resident memory so far, bytes. */
  peakMemory(): Promise<number>;
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
  const topic = { partitions: options.partitions ?? 8, replication: 1, minInsync: 1 };
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
    keeper: await openKeyKeeper(vaultUrl),
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
    VAULT_URL: vaultUrl,
    VAULT_RECOVERY_KEY_FILE: recoveryKeyFile,
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
    async start(command, more = {}) {
      const logFile = join(directory, `${command}-${processes.length}.log`);
      const started = await startService(command, logFile, { ...env, ...more });
      processes.push(started);
      return started;
    },
    run: (...args) => runToEnd(args, env),
    logs: async () => (await Promise.all(processes.map(({ logFile }) => readFile(logFile, 'utf8')))).join(''),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startService(
  command: string,
  logFile: string,
  env: Record<string, string>,
): Promise<ServiceProcess> {
  const log = await open(logFile, 'a');
  const child = spawn(process.execPath, [`${root}bin/sluice.js`, command], {
    env,
    stdio: ['ignore', log.fd, log.fd],
  });
  const end = ended(child);
  await log.close();
  if (child.pid === undefined) throw new Error(`${command} did not start`);
  const { pid } = child;
  return {
    pid,
    logFile,
    get ended() {
      return child.exitCode ?? child.signalCode ?? undefined;
    },
    async kill(signal) {
      child.kill(signal);
      return end;
    },
    async peakMemory() {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1_024;
    },
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

function ended(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 1));
  });
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
