import kafkajs, { type Admin } from 'kafkajs';
import { PipelineError } from '../errors.ts';
import { msPerDay } from '../time.ts';
import { offsetsOf, partitionsOf, withAdmin } from './admin.ts';
import { isOfType } from './classify.ts';
import type { KafkaClient } from './kafkajs-client.ts';
import { segmentDays } from './retention.ts';

/** A body of SQS's 1 MiB, sealed and with its headers, has room to spare. */
export const defaultMaxMessageBytes = 2_097_152;

/**
 * A record may be this far ahead of the broker's clock. Kafka 4 refuses an hour (KIP-937), and a broker whose clock is late would stop the
 * pipeline; the writer judges times by the horizon instead.
 */
const maxAheadMs = 8 * msPerDay;

/** What a topic must be like. */
export interface TopicSpec {
  readonly topic: string;
  readonly partitions: number;
  readonly replication: number;
  /** Replicas that must have a record before it is acknowledged: `min.insync.replicas`. */
  readonly minInsync: number;
  /** Left as it is when not given. */
  readonly retentionMs?: number;
  /** Of a batch, after compression (default {@link defaultMaxMessageBytes}). */
  readonly maxMessageBytes?: number;
}

/** What {@link ensureTopics} did about one topic; all false and empty: nothing was to do. */
export interface TopicOutcome {
  readonly topic: string;
  readonly created: boolean;
  /** How many there were before, when there are more now. */
  readonly partitionsBefore?: number;
  /** Names of settings that were corrected. */
  readonly corrected: readonly string[];
}

/**
 * Creates what is missing, adds partitions where there are fewer, and corrects `max.message.bytes`,
 * `min.insync.replicas`, `message.timestamp.after.max.ms`, `segment.ms` and `retention.ms`; touches nothing else. Any number of times, by several at once.
 *
 * @throws PipelineError CONFIG_INVALID when a topic has more partitions than asked for (they cannot be taken away) or Kafka refuses
 *   the settings (a replication above the number of brokers), KAFKA_FORBIDDEN, KAFKA_UNAVAILABLE.
 */
export function ensureTopics(client: KafkaClient, specs: readonly TopicSpec[]): Promise<TopicOutcome[]> {
  return withAdmin(client, async (admin) => {
    const outcomes: TopicOutcome[] = [];
    for (const spec of specs) outcomes.push(await ensureTopic(admin, spec));
    return outcomes;
  });
}

async function ensureTopic(admin: Admin, spec: TopicSpec): Promise<TopicOutcome> {
  const { topic } = spec;
  const before = await partitionsOf(admin, topic);
  const created = before === undefined && (await create(admin, spec));
  const found = created ? spec.partitions : (await offsetsOf(admin, topic)).length;
  if (found > spec.partitions) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `topic ${topic} has ${found} partitions, ${spec.partitions} are asked for and none can be taken away`,
    );
  }
  const grown = found < spec.partitions && (await grow(admin, spec));
  await offsetsOf(admin, topic, spec.partitions);
  const corrected = created ? [] : await correct(admin, spec);
  return { topic, created, corrected, ...(grown ? { partitionsBefore: found } : {}) };
}

/** False when somebody else was first. */
async function create(admin: Admin, spec: TopicSpec): Promise<boolean> {
  const configEntries = [...wantedConfig(spec)].map(([name, value]) => ({ name, value }));
  return admin.createTopics({
    // Of a topic that it has just made, a broker may say that it does not know it; offsetsOf() looks again.
    waitForLeaders: false,
    topics: [
      {
        topic: spec.topic,
        numPartitions: spec.partitions,
        replicationFactor: spec.replication,
        configEntries,
      },
    ],
  });
}

/** False when somebody else was first: Kafka calls it an invalid number, for it is no more than there are. */
async function grow(admin: Admin, { topic, partitions }: TopicSpec): Promise<boolean> {
  try {
    await admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] });
    return true;
  } catch (error) {
    if (isOfType(error, 'INVALID_PARTITIONS') && (await partitionsOf(admin, topic)) === partitions)
      return false;
    throw error;
  }
}

/**
 * kafkajs knows only the AlterConfigs that replaces all settings of a topic, so those set on the topic itself are sent
 * along. Two that correct at once send the same.
 */
async function correct(admin: Admin, spec: TopicSpec): Promise<string[]> {
  const type = kafkajs.ConfigResourceTypes.TOPIC;
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type, name: spec.topic }],
  });
  const entries = resources.flatMap(({ configEntries }) => configEntries);
  const now = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
  const wanted = wantedConfig(spec);
  const wrong = [...wanted].filter(([name, value]) => now.get(name) !== value).map(([name]) => name);
  if (wrong.length === 0) return [];
  const own = entries.filter(({ configSource }) => configSource === kafkajs.ConfigSource.TOPIC_CONFIG);
  const configEntries = [
    ...new Map([...own.map(({ configName, configValue }) => [configName, configValue] as const), ...wanted]),
  ].map(([name, value]) => ({ name, value }));
  await admin.alterConfigs({ validateOnly: false, resources: [{ type, name: spec.topic, configEntries }] });
  return wrong;
}

/** The settings of a topic that are ours, by their name in Kafka. */
export function wantedConfig(spec: TopicSpec): Map<string, string> {
  const wanted = new Map([
    ['max.message.bytes', String(spec.maxMessageBytes ?? defaultMaxMessageBytes)],
    ['min.insync.replicas', String(spec.minInsync)],
    ['message.timestamp.after.max.ms', String(maxAheadMs)],
    ['segment.ms', String(segmentDays * msPerDay)],
  ]);
  if (spec.retentionMs !== undefined) wanted.set('retention.ms', String(spec.retentionMs));
  return wanted;
}
