import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { createKafkaClient, type KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { readRange, resolveRange } from '../../shared/kafka/read-range.ts';
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
  options: { partitions: number; maxMessageBytes?: number; replication?: number; minInsync?: number },
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
  const read = new Map<number, IncomingRecord[]>();
  for await (const { partition, records } of readRange(client, topic, await resolveRange(client, topic))) {
    read.set(partition, (read.get(partition) ?? []).concat(records));
  }
  return [...read]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([partition, records]) => records.map((record) => Object.assign(record, { partition })));
}
