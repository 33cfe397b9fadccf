import { PipelineError } from '../../shared/errors.ts';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { committedOffsets, topicOffsets } from '../../shared/kafka/offsets.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { TopicReader } from './prove-topic.ts';

/** A cluster makes the home of its groups' offsets when the first group asks, which takes it a second or two. */
const patience = { attempts: 20, everyMs: 500 };

/** Asks Kafka. @throws PipelineError KAFKA_TOPIC_MISSING, KAFKA_UNAVAILABLE, KAFKA_FORBIDDEN */
export function kafkaReader(client: KafkaClient, topic: string, group: string): TopicReader {
  return {
    topicOffsets: () => topicOffsets(client, topic),
    committedOffsets: () => onceSettled(() => committedOffsets(client, group, topic)),
  };
}

/** Again while a broker answers that it cannot say yet. A cluster that does not answer at all is not waited for. */
export async function onceSettled<T>(ask: () => Promise<T>, wait = sleep): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const answered =
        error instanceof PipelineError &&
        error.code === 'KAFKA_UNAVAILABLE' &&
        error.detail?.startsWith('Kafka answered') === true;
      if (!answered || attempt === patience.attempts) throw error;
      await wait(patience.everyMs);
    }
  }
}
