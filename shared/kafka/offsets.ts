import { PipelineError } from '../errors.ts';
import { sleep } from '../lifecycle.ts';
import { offsetsOf, partitionsOf, withAdmin } from './admin.ts';
import { isOfType } from './classify.ts';
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
    const [found] = await settled(() => admin.fetchOffsets({ groupId, topics: [topic] }));
    return new Map(
      (found?.partitions ?? [])
        .toSorted((a, b) => a.partition - b.partition)
        .map(({ partition, offset }) => [partition, BigInt(offset) < 0n ? undefined : BigInt(offset)]),
    );
  });
}

/**
 * The notes that a group keeps beside its offsets, by partition: those that there are.
 * @throws PipelineError KAFKA_UNAVAILABLE, KAFKA_FORBIDDEN
 */
export function committedNotes(
  client: KafkaClient,
  groupId: string,
  topic: string,
): Promise<Map<number, string>> {
  return withAdmin(client, async (admin) => {
    const [found] = await settled(() => admin.fetchOffsets({ groupId, topics: [topic] }));
    return new Map(
      (found?.partitions ?? []).flatMap(({ partition, metadata }): [number, string][] =>
        metadata ? [[partition, metadata]] : [],
      ),
    );
  });
}

/** A group's coordinator has moved, or is still reading what it is to know: soon it is there. @throws the last error after five seconds */
export async function settled<T>(look: () => Promise<T>): Promise<T> {
  for (let looks = 1; ; looks += 1) {
    try {
      return await look();
    } catch (error) {
      const settling = [
        'GROUP_LOAD_IN_PROGRESS',
        'NOT_COORDINATOR_FOR_GROUP',
        'GROUP_COORDINATOR_NOT_AVAILABLE',
      ];
      if (looks === 50 || !isOfType(error, ...settling)) throw error;
      await sleep(100);
    }
  }
}

function missing(topic: string): PipelineError {
  return new PipelineError('KAFKA_TOPIC_MISSING', `topic ${topic}`);
}
