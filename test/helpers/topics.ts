import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { createRecordConsumer } from '../../shared/kafka/kafkajs-consumer.ts';
import { createKafkaClient, type KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { topicOffsets } from '../../shared/kafka/offsets.ts';
import type { FetchedBatch, IncomingRecord } from '../../shared/kafka/ports.ts';
import { ensureTopics } from '../../shared/kafka/topics.ts';

/** A client that logs nothing. */
export function testKafkaClient(brokers: string): KafkaClient {
  return createKafkaClient({
    brokers: brokers.split(','),
    clientId: 'sluice-test',
    log: pino({ level: 'silent' }),
  });
}

/** A name nobody else uses. */
export function randomName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** A topic of a random name on a single broker. Its name. */
export async function createTopic(
  brokers: string,
  options: { partitions: number; maxMessageBytes?: number },
): Promise<string> {
  const topic = randomName('topic');
  await ensureTopics(testKafkaClient(brokers), [{ topic, replication: 1, minInsync: 1, ...options }]);
  return topic;
}

/** Every record that is on the topic now, by partition and offset. */
export async function readAll(
  brokers: string,
  topic: string,
): Promise<(IncomingRecord & { readonly partition: number })[]> {
  const client = testKafkaClient(brokers);
  const filled = [...(await topicOffsets(client, topic))].filter(([, { low, high }]) => low < high);
  if (filled.length === 0) return [];
  const consumer = createRecordConsumer(client, { topic, groupId: randomName('read-all') });
  const done = Promise.withResolvers<void>();
  const read = new Map<number, IncomingRecord[]>();
  const onBatch = async ({ partition, records }: FetchedBatch): Promise<void> => {
    read.set(partition, (read.get(partition) ?? []).concat(records));
    const complete = filled.every(([p, { high }]) => (read.get(p)?.at(-1)?.offset ?? -1n) >= high - 1n);
    if (complete) done.resolve();
  };
  const run = consumer.run({ onBatch, onAssigned: () => read.clear() });
  await Promise.race([done.promise, run]);
  await consumer.stop();
  return filled.flatMap(([partition, { high }]) =>
    (read.get(partition) ?? [])
      .filter(({ offset }) => offset < high)
      .map((record) => Object.assign(record, { partition })),
  );
}
