import { openDatabase, type Database } from '../../../db/client.ts';
import { kafkaReader } from '../../../db/proof/kafka-reader.ts';
import { proveTopic } from '../../../db/proof/prove-topic.ts';
import { PipelineError, type ErrorCode } from '../../../shared/errors.ts';
import { kafkaAccess } from '../../../shared/kafka/access.ts';
import { createKafkaClient, type KafkaClient } from '../../../shared/kafka/kafkajs-client.ts';
import type { Logger } from '../../../shared/log.ts';
import { SqsQueue } from '../../../shared/sqs/sqs-queue.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import type { Clock } from '../../../shared/time.ts';
import type { StatusConfig } from '../config.ts';
import { DeadLetterWatch } from './look-dead-letters.ts';
import { lookAtDays } from './look-days.ts';
import { lookAtRows } from './look-rows.ts';
import { lookAtService } from './look-service.ts';
import { TopicWatch } from './look-topic.ts';
import { Rate } from './rate.ts';
import type { LedgerLook, Looks, QueueLook, ServiceLook, Snapshot } from './snapshot.ts';
import { judge } from './verdict.ts';
import { Watched } from './watched.ts';

/** How often each is asked, whoever looks: what changes by the second often, what costs something or changes by the day less. */
const everyMs = {
  queue: 1_900,
  topic: 1_900,
  services: 4_900,
  rows: 9_900,
  days: 29_900,
  deadLetters: 9_900,
  ledger: 59_900,
};

/** The ledger is read whole to be proved: one that takes longer is for "sluice verify". */
const statementTimeoutMs = 20_000;

/** Everything that is looked at, kept open. **Reads, and changes nothing**: joins no group, receives no message, writes no row. */
export class Watch implements AsyncDisposable {
  readonly #open = new AsyncDisposableStack();
  readonly #clock: Clock;
  readonly #depth = new Rate();
  readonly #parts;

  constructor(
    config: StatusConfig,
    options: { readonly log: Logger; readonly clock: Clock; readonly name: string },
  ) {
    const { clock, log, name } = options;
    this.#clock = clock;
    const database = this.#open.use(
      openDatabase(config.MONITOR_DATABASE_URL, { applicationName: name, max: 2, statementTimeoutMs }),
    );
    const queue = this.#open.use(
      new SqsQueue({
        queueUrl: config.SQS_QUEUE_URL,
        region: config.AWS_REGION,
        endpoint: config.AWS_ENDPOINT_URL_SQS,
        receivers: 1,
      }),
    );
    const kafka = createKafkaClient({
      ...kafkaAccess(config),
      clientId: name,
      log,
      requestTimeoutMs: 5_000,
    });
    const { RAW_TOPIC: topic, WRITER_GROUP: group } = config;
    const topicWatch = new TopicWatch(kafka, { topic, group, clock });
    const deadLetters = new DeadLetterWatch(kafka, { topic: config.DEAD_LETTER_TOPIC, clock });
    const table = userLogins.name;
    const watched = <T>(what: keyof typeof everyMs, code: ErrorCode, look: () => Promise<T>) =>
      new Watched(look, {
        everyMs: everyMs[what],
        clock,
        silent: () => new PipelineError(code, `no answer yet`),
      });
    this.#parts = {
      queue: watched('queue', 'SQS_UNAVAILABLE', () => lookAtQueue(queue)),
      topic: watched('topic', 'KAFKA_UNAVAILABLE', () => topicWatch.look()),
      rows: watched('rows', 'DATABASE_UNAVAILABLE', () => lookAtRows(database, { table, topic, clock })),
      days: watched('days', 'DATABASE_UNAVAILABLE', () => lookAtDays(database, { table, clock })),
      deadLetters: watched('deadLetters', 'KAFKA_UNAVAILABLE', () => deadLetters.look()),
      ledger: watched('ledger', 'DATABASE_UNAVAILABLE', () =>
        lookAtLedger(database, kafka, { topic, group }),
      ),
      services: watched('services', 'UNKNOWN', () =>
        Promise.all((config.SERVICE_URLS ?? []).map(lookAtService)),
      ),
    };
  }

  /** How it is now; what does not answer is part of it. */
  async look(): Promise<Snapshot> {
    const { queue, topic, rows, days, deadLetters, ledger, services } = this.#parts;
    const [queueLook, topicLook, rowsLook, daysLook, lettersLook, ledgerLook, servicesLook] =
      await Promise.all([
        queue.look(),
        topic.look(),
        rows.look(),
        days.look(),
        deadLetters.look(),
        ledger.look(),
        services.look(),
      ]);
    const looks: Looks = {
      queue: queueLook,
      topic: topicLook,
      rows: rowsLook,
      days: daysLook,
      deadLetters: lettersLook,
      ledger: ledgerLook,
      services: servicesLook.ok ? servicesLook.value : ([] satisfies ServiceLook[]),
      sentPerSecond: this.#sent(queueLook, topicLook),
    };
    const atMs = this.#clock();
    return { ...looks, atMs, verdict: judge(looks, atMs) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync();
  }

  /** What is sent is taken from the queue or makes it longer. SQS counts roughly, so it may come out below nothing. */
  #sent(queue: Looks['queue'], topic: Looks['topic']): number | null {
    if (!queue.ok) return null;
    const { visible, inFlight, delayed } = queue.value;
    const growth = this.#depth.add(queue.atMs, visible + inFlight + delayed);
    if (growth === null || !topic.ok || topic.value.publishedPerSecond === null) return null;
    return Math.max(0, growth + topic.value.publishedPerSecond);
  }
}

async function lookAtQueue(queue: SqsQueue): Promise<QueueLook> {
  const { visible, inFlight, delayed } = await queue.attributes();
  return { visible, inFlight, delayed };
}

async function lookAtLedger(
  session: Database,
  client: KafkaClient,
  of: { readonly topic: string; readonly group: string },
): Promise<LedgerLook> {
  const reader = kafkaReader(client, of.topic, of.group);
  const { proven, partitions } = await proveTopic({ session, reader, ...of, complete: false });
  const sum = (column: 'read' | 'inserted' | 'duplicate' | 'dead') =>
    partitions.reduce((total, partition) => total + partition[column], 0);
  return {
    proven,
    problems: partitions.flatMap(({ partition, problems }) =>
      problems.map((problem) => `partition ${partition}: ${problem}`),
    ),
    read: sum('read'),
    inserted: sum('inserted'),
    duplicate: sum('duplicate'),
    dead: sum('dead'),
  };
}
