import type { Kafka } from 'kafkajs';
import Cluster, { type PartitionData } from 'kafkajs/src/cluster/index.js';
import Batch from 'kafkajs/src/consumer/batch.js';
import { PipelineError } from '../errors.ts';
import type { KafkaClient, OpenKafka } from './kafkajs-client.ts';
import { toFetchedBatch } from './kafkajs-record.ts';
import type { FetchedBatch, Position } from './ports.ts';

export interface FetchLimits {
  /** How long a broker holds a fetch that finds nothing. */
  readonly maxWaitMs: number;
  /** Of one answer of one broker. A larger record comes all the same, alone. */
  readonly maxBytes: number;
  readonly maxBytesPerPartition: number;
}

/** What a fetch brought of one partition; `nextOffset` is where the next begins, the same when nothing came. */
export interface Fetched extends FetchedBatch {
  readonly nextOffset: bigint;
}

/**
 * Plain fetch requests to the leaders of a topic's partitions: **no group is joined, read from or written to**. kafkajs offers no such
 * consumer, but has all it takes inside.
 */
export interface Fetcher {
  /**
   * One request to each leader, all at once, from the positions given. Partitions without an answer are left out.
   * @throws whatever kafkajs throws; go on with a new fetcher then.
   */
  fetch(positions: Position): Promise<Fetched[]>;
  /** Cuts the connections; a fetch under way fails. Never rejects. */
  close(): Promise<void>;
}

/** Connects. @throws whatever kafkajs throws */
export async function openFetcher(client: KafkaClient, topic: string, limits: FetchLimits): Promise<Fetcher> {
  const open = client.open();
  const cluster = clusterOf(open.kafka);
  try {
    await cluster.connect();
    await cluster.addTargetTopic(topic);
  } catch (error) {
    await close(cluster, open);
    throw error;
  }
  return {
    fetch: async (positions) => {
      const leaders = cluster.findLeaderForPartitions(topic, [...positions.keys()]);
      const answers = Object.entries(leaders).map(([nodeId, partitions]) =>
        fetchFrom(
          cluster,
          nodeId,
          topic,
          limits,
          new Map(partitions.map((p) => [p, positions.get(p) ?? 0n])),
        ),
      );
      return (await Promise.all(answers)).flat();
    },
    close: () => close(cluster, open),
  };
}

async function fetchFrom(
  cluster: Cluster,
  nodeId: string,
  topic: string,
  limits: FetchLimits,
  positions: Position,
): Promise<Fetched[]> {
  const broker = await cluster.findBroker({ nodeId });
  const partitions = [...positions].map(([partition, offset]) => ({
    partition,
    fetchOffset: String(offset),
    maxBytes: limits.maxBytesPerPartition,
  }));
  const { responses } = await broker.fetch({
    maxWaitTime: limits.maxWaitMs,
    minBytes: 1,
    maxBytes: limits.maxBytes,
    topics: [{ topic, partitions }],
  });
  return responses
    .filter(({ topicName }) => topicName === topic)
    .flatMap(({ partitions }) =>
      partitions.map((data) => toFetched(topic, positions.get(data.partition) ?? 0n, data)),
    );
}

function toFetched(topic: string, asked: bigint, data: PartitionData): Fetched {
  const last = BigInt(data.messages.at(-1)?.offset ?? asked - 1n);
  const nextOffset = last >= asked ? last + 1n : asked;
  return { ...toFetchedBatch(new Batch(topic, String(asked), data)), nextOffset };
}

/** A cluster with the settings of a kafkajs instance, which makes them for itself behind a symbol. */
function clusterOf(kafka: Kafka): Cluster {
  const key = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  );
  const create: unknown = key === undefined ? undefined : Reflect.get(kafka, key);
  const cluster: unknown =
    typeof create === 'function'
      ? Reflect.apply(create, kafka, [{ allowAutoTopicCreation: false }])
      : undefined;
  if (cluster instanceof Cluster) return cluster;
  throw new PipelineError('INTERNAL', 'kafkajs makes its clusters another way');
}

async function close(cluster: Cluster, open: OpenKafka): Promise<void> {
  open.abort();
  await cluster.disconnect().catch(() => undefined);
}
