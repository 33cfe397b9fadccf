import type { Admin } from 'kafkajs';
import { classifyKafkaError } from './classify.ts';
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
