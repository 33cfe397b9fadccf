import { PipelineError } from '../errors.ts';
import { offsetsOf, partitionsOf, withAdmin } from './admin.ts';
import type { KafkaClient } from './kafkajs-client.ts';

/** Offsets of a partition: the first record still there, and the next to be written. Equal when it is empty. */
export interface PartitionOffsets {
  readonly low: bigint;
  readonly high: bigint;
}

/**
 * By partition, in ascending order.
 * @throws PipelineError KAFKA_TOPIC_MISSING, KAFKA_UNAVAILABLE, KAFKA_FORBIDDEN
 */
export function topicOffsets(client: KafkaClient, topic: string): Promise<Map<number, PartitionOffsets>> {
  return withAdmin(client, async (admin) => {
    if ((await partitionsOf(admin, topic)) === undefined) throw missing(topic);
    const found = await offsetsOf(admin, topic);
    return new Map(
      found
        .toSorted((a, b) => a.partition - b.partition)
        .map(({ partition, low, high }) => [partition, { low: BigInt(low), high: BigInt(high) }]),
    );
  });
}

/**
 * The next offset a group will read, by partition in ascending order; undefined where it has committed none.
 * @throws PipelineError KAFKA_TOPIC_MISSING, KAFKA_UNAVAILABLE, KAFKA_FORBIDDEN
 */
export function committedOffsets(
  client: KafkaClient,
  groupId: string,
  topic: string,
): Promise<Map<number, bigint | undefined>> {
  return withAdmin(client, async (admin) => {
    if ((await partitionsOf(admin, topic)) === undefined) throw missing(topic);
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
    return new Map(
      (found?.partitions ?? [])
        .toSorted((a, b) => a.partition - b.partition)
        .map(({ partition, offset }) => [partition, BigInt(offset) < 0n ? undefined : BigInt(offset)]),
    );
  });
}

function missing(topic: string): PipelineError {
  return new PipelineError('KAFKA_TOPIC_MISSING', `topic ${topic}`);
}
