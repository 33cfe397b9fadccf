import { hostname } from 'node:os';
import { classifyDatabaseError } from '../../db/classify.ts';
import { openDatabase, type Session } from '../../db/client.ts';
import { checkWriter } from '../../db/queries/check-writer.ts';
import { databaseTime } from '../../db/queries/database-time.ts';
import { PipelineError } from '../../shared/errors.ts';
import { Health } from '../../shared/health/health.ts';
import { checkWhenIdle } from '../../shared/health/idle-check.ts';
import { superviseHealth } from '../../shared/health/serve.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { createKafkaClient, type KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createRecordConsumer } from '../../shared/kafka/kafkajs-consumer.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { Publisher } from '../../shared/kafka/publisher.ts';
import { watchProducer } from '../../shared/kafka/watched-producer.ts';
import { committedNotes, committedOffsets, topicOffsets } from '../../shared/kafka/offsets.ts';
import { runUntilStopped } from '../../shared/lifecycle.ts';
import { Outage } from '../../shared/outage.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { openObserved } from '../../shared/telemetry/observed.ts';
import { peppers, transitKeys } from '../../shared/vault/keys.ts';
import { openStore } from '../../shared/vault/open-vault.ts';
import { writerConfig, type WriterConfig } from './config.ts';
import { DeadRatio, pastOf } from './dead-ratio.ts';
import type { DeadRecord } from '../../db/rows/encode.ts';
import type { Ends } from './lag.ts';
import { WriterObserver } from './observe.ts';
import { createSteps } from './steps.ts';
import { runWriter } from './writer.ts';

/** A request to Kafka is given up after 10 s. */
const sendLimitMs = 60_000;

/** `sluice writer`: Kafka → sealed rows in Postgres until SIGTERM. @throws PipelineError of action `stop` */
export async function writer(options: { pretty?: boolean } = {}): Promise<number> {
  const config = writerConfig(process.env);
  await using observed = await openObserved('writer', config, options);
  const { log, telemetry } = observed;
  const health = new Health('writer');
  await using open = new AsyncDisposableStack();
  open.use(await superviseHealth(health, { config, log, process, telemetry }));
  await using database = openDatabase(config.DATABASE_URL, {
    applicationName: 'sluice-writer',
    // Two for batches, and one to look for keys and epochs meanwhile.
    max: 3,
    statementTimeoutMs: 30_000,
    // Ours are idle for milliseconds.
    idleInTransactionMs: 10_000,
  });
  const kafka = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-writer', log });
  const producer = createRecordProducer(kafka);
  await runUntilStopped(process, log, async (signals) => {
    const outageOf = (what: string) =>
      new Outage(what, { log, classify: classifyDatabaseError, observer: health.dependency(what) });
    const wait = <T>(what: string, attempt: () => Promise<T>) =>
      outageOf(what).waitOut(attempt, signals.stop);
    const idle = new AbortController();
    try {
      const vault = await wait('vault', () => openStore(config));
      const partitions = await wait('kafka', () => producer.partitionCount(config.DEAD_LETTER_TOPIC));
      await wait('kafka', () => producer.partitionCount(config.RAW_TOPIC));
      await wait('postgres', () => assertRights(database));
      const deadLetters = new Publisher<DeadRecord>({
        producer: watchProducer(producer, {
          loop: health.loop('kafka sends', sendLimitMs),
          kafka: health.dependency('kafka sends'),
        }),
        topic: config.DEAD_LETTER_TOPIC,
        partitions,
        lingerMs: 0,
        log,
        onAcked: () => {},
        // What failed shows where it is waited for: in flush().
        onFatal: () => {},
      });
      const steps = createSteps({
        stream: userLogins,
        topic: config.RAW_TOPIC,
        connection: database,
        deadLetters,
        transitKeys: transitKeys(vault),
        peppers: peppers(vault),
        clock: Date.now,
        writtenBy: `${hostname()}:${process.pid}`,
        onDataKey: () => telemetry.metrics.add('sluice.data_keys.made', 1),
      });
      const consumer = createRecordConsumer(kafka, {
        topic: config.RAW_TOPIC,
        groupId: config.WRITER_GROUP,
        // What is fetched at once is decoded at once: four times its size in objects, until it is written.
        maxBytes: 2_097_152,
        maxBytesPerPartition: 262_144,
      });
      const limits = {
        maxRecords: config.WRITER_BATCH_RECORDS,
        maxBytes: config.WRITER_BATCH_BYTES,
        lingerMs: config.WRITER_LINGER_MS,
        queueBytes: config.WRITER_QUEUE_BYTES,
      };
      const notes = await wait('kafka', () => committedNotes(kafka, config.WRITER_GROUP, config.RAW_TOPIC));
      const deadRatio = new DeadRatio(
        {
          maxRatio: config.WRITER_MAX_DEAD_RATIO,
          windowRecords: config.WRITER_DEAD_WINDOW_RECORDS,
          minRecords: config.WRITER_DEAD_MIN_RECORDS,
        },
        pastOf(notes),
      );
      const observer = new WriterObserver(telemetry, {
        topic: config.RAW_TOPIC,
        group: config.WRITER_GROUP,
        deadLetterTopic: config.DEAD_LETTER_TOPIC,
        table: userLogins.name,
        clock: Date.now,
        ends: () => endsOf(kafka, config),
      });
      log.info({ topic: config.RAW_TOPIC, group: config.WRITER_GROUP }, 'started');
      void checkWhenIdle(
        {
          health,
          dependency: 'postgres',
          outage: outageOf('postgres'),
          check: () => database.execute(databaseTime()),
        },
        idle.signal,
      );
      await runWriter(
        { consumer, steps, limits, log, classify: classifyDatabaseError, deadRatio, health, observer },
        signals,
      );
      await deadLetters.close(signals.force);
      await steps.retireKeys();
    } catch (error) {
      // Stopped while still waiting for a server: that is a stop, not a failure.
      if (!(error instanceof PipelineError && error.action === 'retry' && signals.stop.aborted)) throw error;
    } finally {
      idle.abort();
      await producer.close();
    }
  });
  log.info('stopped');
  return 0;
}

/** @throws PipelineError of Kafka */
async function endsOf(kafka: KafkaClient, config: WriterConfig): Promise<Ends> {
  const offsets = await topicOffsets(kafka, config.RAW_TOPIC);
  const committed = await committedOffsets(kafka, config.WRITER_GROUP, config.RAW_TOPIC);
  return new Map(
    [...offsets].map(([partition, { low, high }]) => [
      partition,
      { end: high, next: committed.get(partition) ?? low },
    ]),
  );
}

/** Before the first record, which may not come for days. @throws PipelineError DATABASE_SCHEMA, DATABASE_FORBIDDEN */
async function assertRights(session: Session): Promise<void> {
  const { rows } = await session.execute(checkWriter(userLogins.name));
  if (rows[0]?.allowed !== true) {
    throw new PipelineError('DATABASE_FORBIDDEN', 'The role of DATABASE_URL may not do what a writer does');
  }
}
