import { hostname } from 'node:os';
import { classifyDatabaseError } from '../../db/classify.ts';
import { openDatabase } from '../../db/client.ts';
import { findDayKey } from '../../db/queries/find-day-key.ts';
import { Tokenizer } from '../../shared/crypto/token.ts';
import { PipelineError } from '../../shared/errors.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createRecordConsumer } from '../../shared/kafka/kafkajs-consumer.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { Publisher } from '../../shared/kafka/publisher.ts';
import { runUntilStopped } from '../../shared/lifecycle.ts';
import { createLogger } from '../../shared/log.ts';
import { waitOut } from '../../shared/retry.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { dayOf } from '../../shared/time.ts';
import { openPeppers, openTransitKeys } from '../../shared/vault/open-vault.ts';
import { writerConfig } from './config.ts';
import type { DeadRecord } from './encode.ts';
import { createSteps } from './steps.ts';
import { runWriter } from './writer.ts';

/** `sluice writer`: Kafka → sealed rows in Postgres until SIGTERM. @throws PipelineError of action `stop` */
export async function writer(): Promise<number> {
  const config = writerConfig(process.env);
  const log = createLogger({ service: 'writer', level: config.LOG_LEVEL });
  const transitKeys = await openTransitKeys(config.VAULT_URL);
  const peppers = await openPeppers(config.VAULT_URL);
  await using database = openDatabase(config.DATABASE_URL, {
    applicationName: 'sluice-writer',
    max: 2,
    statementTimeoutMs: 60_000,
  });
  const kafka = createKafkaClient({ brokers: config.KAFKA_BROKERS, clientId: 'sluice-writer', log });
  const producer = createRecordProducer(kafka);
  await runUntilStopped(process, log, async (signals) => {
    const wait = <T>(what: string, attempt: () => Promise<T>) =>
      waitOut(attempt, { what, log, signal: signals.stop, classify: classifyDatabaseError });
    try {
      const pepper = await wait('vault', async () => {
        const found = await peppers.pepper();
        if (found === undefined) throw new PipelineError('KEY_MISSING', 'the vault has no token pepper');
        return found;
      });
      await wait('Postgres', () => database.execute(findDayKey(dayOf(Date.now()))));
      const partitions = await wait('Kafka', () => producer.partitionCount(config.DEAD_LETTER_TOPIC));
      const deadLetters = new Publisher<DeadRecord>({
        producer,
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
        transitKeys,
        tokenizer: new Tokenizer(pepper),
        clock: Date.now,
        writtenBy: `${hostname()}:${process.pid}`,
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
      log.info({ topic: config.RAW_TOPIC, group: config.WRITER_GROUP }, 'started');
      await runWriter({ consumer, steps, limits, log, classify: classifyDatabaseError }, signals);
      await deadLetters.close(signals.force);
      steps.retireKeys();
    } catch (error) {
      // Stopped while still waiting for a server: that is a stop, not a failure.
      if (!(error instanceof PipelineError && error.action === 'retry' && signals.stop.aborted)) throw error;
    } finally {
      await producer.close();
    }
  });
  log.info('stopped');
  return 0;
}
