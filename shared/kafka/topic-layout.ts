import type { z } from 'zod';
import type { deadLetterTopicSlice, environmentSlice, rawTopicSlice, topicLayoutSlice } from '../config.ts';
import { PipelineError } from '../errors.ts';
import { msPerDay } from '../time.ts';
import { sleep } from '../lifecycle.ts';
import type { KafkaClient } from './kafkajs-client.ts';
import { ensureTopics, type TopicOutcome, type TopicSpec } from './topics.ts';

type LayoutConfig = z.output<
  z.ZodObject<
    typeof environmentSlice & typeof rawTopicSlice & typeof deadLetterTopicSlice & typeof topicLayoutSlice
  >
>;

/**
 * The topics of a pipeline, for those who make them.
 *
 * @throws PipelineError CONFIG_INVALID outside dev without TOPIC_REPLICATION, or when more replicas must be in sync than there are.
 */
export function topicLayout(config: LayoutConfig): TopicSpec[] {
  const replication = config.TOPIC_REPLICATION ?? (config.SLUICE_ENV === 'dev' ? 1 : undefined);
  if (replication === undefined) {
    throw new PipelineError('CONFIG_INVALID', `TOPIC_REPLICATION is not set, and SLUICE_ENV is not dev`);
  }
  const minInsync = config.TOPIC_MIN_INSYNC ?? Math.max(1, replication - 1);
  if (minInsync > replication) {
    throw new PipelineError('CONFIG_INVALID', 'TOPIC_MIN_INSYNC is greater than TOPIC_REPLICATION');
  }
  const layout = { partitions: config.TOPIC_PARTITIONS, replication, minInsync };
  return [
    { ...layout, topic: config.RAW_TOPIC, retentionMs: config.RAW_TOPIC_RETENTION_DAYS * msPerDay },
    {
      ...layout,
      topic: config.DEAD_LETTER_TOPIC,
      retentionMs: config.DEAD_LETTER_TOPIC_RETENTION_DAYS * msPerDay,
    },
  ];
}

/**
 * {@link ensureTopics}, again while Kafka says that a topic is missing: it was made a moment ago, and the broker asked next has not
 * heard of it yet.
 *
 * @throws PipelineError as ensureTopics does.
 */
export async function makeTopics(client: KafkaClient, specs: readonly TopicSpec[]): Promise<TopicOutcome[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ensureTopics(client, specs);
    } catch (error) {
      const early = error instanceof PipelineError && error.code === 'KAFKA_TOPIC_MISSING';
      if (!early || attempt === 10) throw error;
      await sleep(200);
    }
  }
}

/** What was done about topics, a line each; none when nothing was. */
export function describeTopics(outcomes: readonly TopicOutcome[]): string[] {
  return outcomes.flatMap(({ topic, created, partitionsBefore, corrected }) => [
    ...(created ? [`made topic ${topic}`] : []),
    ...(partitionsBefore === undefined
      ? []
      : [`added partitions to topic ${topic}, which had ${partitionsBefore}`]),
    ...(corrected.length === 0 ? [] : [`corrected ${corrected.join(', ')} of topic ${topic}`]),
  ]);
}
