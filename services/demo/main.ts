import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { openDatabase } from '../../db/client.ts';
import {
  deadLetterTopicSlice,
  kafkaSlice,
  parseConfig,
  postgresUrl,
  rawTopicSlice,
  sqsSlice,
} from '../../shared/config.ts';
import { PipelineError } from '../../shared/errors.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { createLogger } from '../../shared/log.ts';
import { SqsQueue } from '../../shared/sqs/sqs-queue.ts';
import { canonicalIp } from '../../shared/streams/ip-address.ts';
import { runCommand, startService, type Background, type Launcher } from './commands.ts';
import { runDemo, type DemoResult, type KnownEvent } from './demo.ts';
import { problemsOf, progressLine, renderReport, type Recovered } from './report.ts';
import { sendAll } from './send.ts';

const shape = {
  ...sqsSlice,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  OPERATOR_DATABASE_URL: postgresUrl,
};
type DemoConfig = z.output<z.ZodObject<typeof shape>>;

const root = fileURLToPath(new URL('../..', import.meta.url));
const stopGraceMs = 30_000;
const readyWithinMs = 60_000;

export interface DemoOptions {
  readonly messages: number;
  readonly rate: number;
  readonly json?: boolean;
  readonly keep?: boolean;
  /** With a Jaeger, where there is one, and a trace for every message. */
  readonly observe?: boolean;
}

/**
 * `sluice demo`: the main job on the local stack, as a newcomer would run it, with services as processes of their own. Exit code 0
 * only when every message sent is one row or one dead letter, as expected, and the ledger proves it.
 */
export async function demo(options: DemoOptions): Promise<number> {
  const startedAt = performance.now();
  const say = (line: string) => {
    if (options.json !== true) process.stdout.write(`${line}\n`);
  };
  const bare: Launcher = {
    node: process.execPath,
    script: `${root}bin/sluice.js`,
    cwd: root,
    env: process.env,
  };
  const echo = { echo: (line: string) => say(`  ${line}`) };
  const wasUp = (await runCommand(bare, ['stack', 'status'], { okCodes: [1] })).code === 0;
  say('Starting the local stack …');
  const services: Background[] = [];
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  interrupted.catch(() => undefined);
  process.once('SIGINT', () => reject(new PipelineError('STACK', 'interrupted')));
  process.once('SIGTERM', () => reject(new PipelineError('STACK', 'interrupted')));
  try {
    await runCommand(bare, ['stack', 'up', ...(options.observe === true ? ['--observe'] : [])], echo);
    const { stdout } = await runCommand(bare, ['stack', 'env', '--json']);
    const stackEnv = z.record(z.string(), z.string()).parse(JSON.parse(stdout));
    const launcher: Launcher = { ...bare, env: { TRACE_SAMPLE_RATE: '1', ...process.env, ...stackEnv } };
    say('Migrating and making partitions and keys …');
    await runCommand(launcher, ['migrate'], echo);
    await runCommand(launcher, ['maintain'], echo);
    say('Starting connector and writer …');
    const logs = `${root}.sluice/log`;
    mkdirSync(logs, { recursive: true });
    for (const name of ['connector', 'writer']) {
      services.push(await startService(launcher, name, `${logs}/${name}.log`));
    }
    await Promise.race([Promise.all(services.map(untilReady)), interrupted]);
    Object.assign(process.env, stackEnv);
    const config = parseConfig(stackEnv, shape);
    say(`Sending ${options.messages.toLocaleString('en-US')} logins and every hostile input …`);
    const result = await Promise.race([moveMessages(config, options, services, say), interrupted]);
    const recovered = await recoverKnown(launcher, result.known);
    const verify = await runCommand(launcher, ['verify', '--json'], { okCodes: [1] });
    const report = {
      result,
      recovered,
      ledgerWhole: verify.code === 0,
      traced: stackEnv['JAEGER_URL'] !== undefined,
      seconds: (performance.now() - startedAt) / 1_000,
    };
    const stays = wasUp || options.keep === true;
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify({ ...report, problems: problemsOf(report) }, undefined, 2)}\n`);
    } else process.stdout.write(renderReport(report, stays));
    if (options.keep === true) {
      for (const service of services) service.release();
      say(
        `Left running: connector (pid ${services[0]?.pid}), writer (pid ${services[1]?.pid}); logs in .sluice/log.`,
      );
      services.length = 0;
    }
    return problemsOf(report).length === 0 ? 0 : 1;
  } finally {
    await Promise.all(services.map((service) => service.stop(stopGraceMs)));
    if (!wasUp && options.keep !== true) await runCommand(bare, ['stack', 'down']);
  }
}

async function moveMessages(
  config: DemoConfig,
  options: DemoOptions,
  services: readonly Background[],
  say: (line: string) => void,
): Promise<DemoResult> {
  const log = createLogger({ service: 'demo', level: 'silent' });
  const kafka = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-demo', log });
  const producer = createRecordProducer(kafka);
  const endpoint = config.AWS_ENDPOINT_URL_SQS;
  const target = { queueUrl: config.SQS_QUEUE_URL, region: config.AWS_REGION, endpoint };
  await using database = openDatabase(config.OPERATOR_DATABASE_URL, {
    applicationName: 'sluice-demo',
    max: 2,
    statementTimeoutMs: 60_000,
  });
  const live = process.stdout.isTTY && options.json !== true;
  try {
    const result = await runDemo(
      {
        database,
        kafka,
        producer,
        queue: new SqsQueue({ ...target, receivers: 1 }),
        rawTopic: config.RAW_TOPIC,
        deadLetterTopic: config.DEAD_LETTER_TOPIC,
        send: (messages, onSent) => sendAll({ ...target, perSecond: options.rate }, messages, onSent),
        assertRunning: () => assertRunning(services),
        progress: (state) => {
          if (live) process.stdout.write(`\r\u001b[K  ${progressLine(state)}`);
          else say(`  ${progressLine(state)}`);
        },
      },
      { messages: options.messages, seed: Date.now() },
    );
    if (live) process.stdout.write('\n');
    return result;
  } finally {
    await producer.close();
  }
}

/** What each service logs once it does its work. */
const readyWords: Readonly<Record<string, string>> = {
  connector: '"msg":"receiving"',
  writer: '"msg":"assigned"',
};

async function untilReady(service: Background): Promise<void> {
  const deadline = Date.now() + readyWithinMs;
  while (!service.log().includes(readyWords[service.name] ?? '')) {
    assertRunning([service]);
    if (Date.now() > deadline) {
      throw new PipelineError(
        'STACK',
        `the ${service.name} is not ready after a minute: see ${service.logFile}`,
      );
    }
    await sleep(50);
  }
}

function assertRunning(services: readonly Background[]): void {
  for (const { name, exitCode, logFile } of services) {
    if (exitCode !== undefined) {
      throw new PipelineError('STACK', `the ${name} has ended with ${exitCode}: see ${logFile}`);
    }
  }
}

async function recoverKnown(
  launcher: Launcher,
  known: KnownEvent | undefined,
): Promise<Recovered | undefined> {
  if (known === undefined) return undefined;
  const why = ['--reason', 'demonstration', '--ticket', 'DEMO-1'];
  const which = ['--event-id', known.eventId, '--day', known.day];
  const { stdout } = await runCommand(launcher, ['recover', ...which, ...why, '--json']);
  const { personal } = z
    .object({ personal: z.object({ ip: z.string(), device_id: z.string() }) })
    .parse(JSON.parse(stdout));
  return {
    eventId: known.eventId,
    ip: personal.ip,
    deviceId: personal.device_id,
    matches: personal.ip === canonicalIp(known.login.ip) && personal.device_id === known.login.device_id,
  };
}
