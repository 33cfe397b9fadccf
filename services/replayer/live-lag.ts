import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { committedOffsets, topicOffsets } from '../../shared/kafka/offsets.ts';

/**
 * How many records the live writers are behind, by what Kafka says of the group: **its offsets are read, it is not joined and nothing of it is
 * changed.** A partition where it has committed nothing counts as none: nobody writes live there.
 *
 * @throws PipelineError of Kafka
 */
export async function liveLag(client: KafkaClient, topic: string, group: string): Promise<number> {
  const committed = await committedOffsets(client, group, topic);
  let lag = 0n;
  for (const [partition, { high }] of await topicOffsets(client, topic)) {
    const next = committed.get(partition);
    if (next !== undefined && high > next) lag += high - next;
  }
  return Number(lag);
}
