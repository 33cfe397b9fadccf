import { PipelineError } from '../../shared/errors.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { runUntilStopped } from '../../shared/lifecycle.ts';
import { createLogger } from '../../shared/log.ts';
import { writeText } from '../../shared/output.ts';
import { printableJson } from '../../shared/printable.ts';
import { Progress } from '../../shared/progress.ts';
import type { QueueMessage } from '../../shared/sqs/ports.ts';
import { SqsQueue } from '../../shared/sqs/sqs-queue.ts';
import { dlqConfig, queueConfig } from './config.ts';
import { toFilter, type FilterOptions } from '../../shared/streams/selection.ts';
import { list, listingText } from './list.ts';
import { listQueue, queuedText, queueFilter, queueListingText, type QueueListing } from './queue.ts';
import { redrive, redriveText, type RedriveReport } from './redrive.ts';
import { show, wholeText } from './show.ts';

export interface DlqListOptions extends FilterOptions {
  readonly limit: number;
  readonly all?: boolean;
  readonly queue?: boolean;
  readonly json?: boolean;
}

export interface DlqRedriveOptions extends FilterOptions {
  readonly limit?: number;
  readonly rate?: number;
  readonly again?: boolean;
  readonly dryRun?: boolean;
  readonly queue?: boolean;
  readonly acceptNewTime?: boolean;
  readonly json?: boolean;
}

/** What empties the dead-letter queue: the connector's, which knows how messages become records. */
export type DrainQueue = (options: {
  readonly wanted: (message: QueueMessage) => boolean;
  readonly limit: number;
  readonly perSecond: number;
  readonly acceptNewTime: boolean;
}) => Promise<DrainReport>;

export interface DrainReport {
  readonly published: number;
  readonly deleted: number;
  readonly unsealable: number;
  readonly unfinished: boolean;
}

function open() {
  const config = dlqConfig(process.env);
  const log = createLogger({ service: 'dlq', level: config.LOG_LEVEL });
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-dlq', log });
  return { config, log, client };
}

/** A look at more would hold that many messages back from whoever takes them off the queue. */
const maxSample = 10_000;

/** `sluice dlq list`. @throws PipelineError USAGE, of Kafka or SQS */
export async function dlqList(options: DlqListOptions): Promise<number> {
  const filter = toFilter(options);
  if (options.queue === true) {
    const listing = await lookAtQueue(queueFilter(filter), options.limit);
    await print(options.json === true, listing, queueListingText);
    return 0;
  }
  const { config, client } = open();
  using progress = new Progress(process.stderr, { what: 'records read' });
  const listing = await list(client, config.DEAD_LETTER_TOPIC, {
    filter,
    limit: options.limit,
    all: options.all === true,
    onRead: (offsets) => progress.add(offsets),
  });
  progress[Symbol.dispose]();
  await print(options.json === true, listing, listingText);
  return 0;
}

/** `sluice dlq show PARTITION/OFFSET`, or a MessageId with `--queue`. @throws PipelineError USAGE, of Kafka or SQS */
export async function dlqShow(at: string, options: { queue?: boolean; json?: boolean }): Promise<number> {
  if (options.queue === true) {
    const [letter] = (await lookAtQueue(queueFilter(toFilter({ eventId: [at] })), 1)).entries;
    if (letter === undefined) throw new PipelineError('USAGE', `there is no message ${at} to be seen`);
    await print(options.json === true, letter, queuedText);
    return 0;
  }
  const { config, client } = open();
  const whole = await show(client, config.DEAD_LETTER_TOPIC, at);
  await print(options.json === true, whole, wholeText);
  return 0;
}

/** `sluice dlq redrive --queue`. Exit code 1 when a signal stopped it before it was done. @throws PipelineError */
export async function dlqRedriveQueue(options: DlqRedriveOptions, drain: DrainQueue): Promise<number> {
  const wanted = queueFilter(toFilter(options));
  const limit = options.limit ?? Infinity;
  if (options.again === true) {
    throw new PipelineError('USAGE', '--again: what is put back from the queue is not there any more');
  }
  if (options.dryRun === true) {
    const listing = await lookAtQueue(wanted, Math.min(limit, maxSample));
    await print(options.json === true, listing, queueListingText);
    return 0;
  }
  const report = await drain({
    wanted,
    limit,
    perSecond: options.rate ?? Infinity,
    acceptNewTime: options.acceptNewTime === true,
  });
  await print(options.json === true, report, drainText);
  return report.unfinished ? 1 : 0;
}

function drainText({ published, deleted, unsealable, unfinished }: DrainReport): string {
  const n = (value: number) => value.toLocaleString('en-US');
  return [
    `redriven: ${n(published)}, of which ${n(deleted)} are off the queue\n`,
    ...(unsealable > 0 ? [`left there, for their day has no key: ${n(unsealable)}\n`] : []),
    ...(unfinished ? ['not all: run it again to go on\n'] : []),
  ].join('');
}

/** `sluice dlq redrive`. Exit code 1 when a signal stopped it before it was done. @throws PipelineError USAGE, of Kafka */
export async function dlqRedrive(options: DlqRedriveOptions): Promise<number> {
  const filter = toFilter(options);
  const { config, log, client } = open();
  await using stack = new AsyncDisposableStack();
  const producer = stack.adopt(createRecordProducer(client), (closing) => closing.close());
  const progress = stack.use(new Progress(process.stderr, { what: 'dead letters' }));
  let report: RedriveReport | undefined;
  let stopped = false;
  await runUntilStopped(process, log, async ({ stop }) => {
    report = await redrive(client, producer, {
      deadLetterTopic: config.DEAD_LETTER_TOPIC,
      rawTopic: config.RAW_TOPIC,
      filter,
      limit: options.limit ?? Infinity,
      again: options.again === true,
      dryRun: options.dryRun === true,
      perSecond: options.rate ?? Infinity,
      signal: stop,
      log,
      clock: Date.now,
      onRedriven: (records) => progress.add(records),
    });
    stopped = stop.aborted;
  });
  progress[Symbol.dispose]();
  if (report === undefined) return 1;
  await print(options.json === true, report, redriveText);
  return stopped ? 1 : 0;
}

async function lookAtQueue(wanted: ReturnType<typeof queueFilter>, limit: number): Promise<QueueListing> {
  const config = queueConfig(process.env);
  const log = createLogger({ service: 'dlq', level: config.LOG_LEVEL });
  using queue = new SqsQueue({
    queueUrl: config.SQS_DEAD_LETTER_QUEUE_URL,
    region: config.AWS_REGION,
    endpoint: config.AWS_ENDPOINT_URL_SQS,
    receivers: 1,
  });
  let listing: QueueListing | undefined;
  await runUntilStopped(process, log, async ({ stop }) => {
    listing = await listQueue(queue, { wanted, limit, sample: maxSample, signal: stop });
  });
  if (listing === undefined) throw new PipelineError('INTERNAL', 'the queue was not looked at');
  return listing;
}

function print<T>(json: boolean, value: T, text: (value: T) => string): Promise<void> {
  return writeText(process.stdout, json ? `${printableJson(value)}\n` : text(value));
}
