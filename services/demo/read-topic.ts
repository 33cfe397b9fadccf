import { randomUUID } from 'node:crypto';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createRecordConsumer } from '../../shared/kafka/kafkajs-consumer.ts';
import type { FetchedBatch, Position } from '../../shared/kafka/ports.ts';
import { topicOffsets } from '../../shared/kafka/offsets.ts';

/**
 * Reads a topic from its beginning to where it ends now, in a group of its own that commits nothing.
 * @returns when every partition has been read to that end.
 */
export async function readTopic(
  client: KafkaClient,
  topic: string,
  onBatch: (batch: FetchedBatch) => void,
): Promise<void> {
  const ends = new Map<number, bigint>();
  for (const [partition, { low, high }] of await topicOffsets(client, topic)) {
    if (high > low) ends.set(partition, high);
  }
  if (ends.size === 0) return;
  const consumer = createRecordConsumer(client, { topic, groupId: `sluice-demo-${randomUUID()}` });
  const done = Promise.withResolvers<void>();
  const running = consumer.run({
    onBatch: async (batch) => {
      onBatch(upTo(batch, ends));
      const next = (batch.records.at(-1)?.offset ?? -1n) + 1n;
      if (next >= (ends.get(batch.partition) ?? 0n)) ends.delete(batch.partition);
      if (ends.size === 0) done.resolve();
    },
    onAssigned: () => {},
  });
  await Promise.race([done.promise, running]);
  await consumer.stop();
  await running;
}

function upTo(batch: FetchedBatch, ends: Position): FetchedBatch {
  const end = ends.get(batch.partition) ?? 0n;
  return { ...batch, records: batch.records.filter(({ offset }) => offset < end) };
}
