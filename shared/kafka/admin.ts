import type { Admin } from 'kafkajs';
import { PipelineError } from '../errors.ts';
import { sleep } from '../lifecycle.ts';
import { classifyKafkaError, isOfType } from './classify.ts';
import type { KafkaClient } from './kafkajs-client.ts';

/**
 * Runs administrative calls on connections of their own.
 * @throws PipelineError whatever the call threw, classified.
 */
export async function withAdmin<R>(client: KafkaClient, work: (admin: Admin) => Promise<R>): Promise<R> {
  const open = client.open();
  const admin = open.kafka.admin();
  admin.on(admin.events.REQUEST_TIMEOUT, () => open.abort());
  try {
    await admin.connect();
    return await work(admin);
  } catch (error) {
    throw classifyKafkaError(error);
  } finally {
    open.abort();
    await admin.disconnect();
  }
}

/**
 * Partitions of a topic; undefined when it does not exist. (kafkajs finds a topic it does not know by its error.)
 */
export async function partitionsOf(admin: Admin, topic: string): Promise<number | undefined> {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics.find(({ name }) => name === topic)?.partitions.length;
  } catch (error) {
    if (classifyKafkaError(error).code === 'KAFKA_TOPIC_MISSING') return undefined;
    throw error;
  }
}

/** A new partition, or a new leader, is known to every broker within milliseconds and serves within a few more. */
const settle = { looks: 50, everyMs: 100 };

/**
 * First and next offset of every partition, each as its leader answered: what this resolves with can be written to and read.
 * Waits until there are at least `atLeast` partitions and while leaders settle.
 *
 * @throws PipelineError KAFKA_UNAVAILABLE when they do not
 */
export async function offsetsOf(
  admin: Admin,
  topic: string,
  atLeast = 1,
): Promise<{ partition: number; low: string; high: string }[]> {
  for (let look = 0; look < settle.looks; look += 1) {
    try {
      if (((await partitionsOf(admin, topic)) ?? 0) >= atLeast) {
        const found = await admin.fetchTopicOffsets(topic);
        if (found.length >= atLeast) return found;
      }
    } catch (error) {
      const settling = ['LEADER_NOT_AVAILABLE', 'NOT_LEADER_FOR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION'];
      if (!isOfType(error, ...settling)) throw error;
    }
    await sleep(settle.everyMs);
  }
  throw new PipelineError('KAFKA_UNAVAILABLE', `topic ${topic} has no leaders`);
}
