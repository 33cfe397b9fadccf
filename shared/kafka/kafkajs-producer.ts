import kafkajs, { type Producer, type RecordMetadata } from 'kafkajs';
import { sealedMarker } from '../crypto/transit.ts';
import { PipelineError } from '../errors.ts';
import { sleep } from '../lifecycle.ts';
import { partitionsOf, withAdmin } from './admin.ts';
import { classifyKafkaError, isTimeout } from './classify.ts';
import type { BatchCodec } from './encode-records.ts';
import type { KafkaClient, OpenKafka } from './kafkajs-client.ts';
import { errorOfCode, producedAnswer } from './kafkajs-patches.ts';
import { recordBytes } from './lane.ts';
import type { PartitionAck, PartitionBatch, RecordProducer } from './ports.ts';
import { OutgoingBlock } from './record-block.ts';

/** A broker just started, or a topic just made, may be unknown for a moment; this many times is no moment. */
const missingLooks = 3;
const missingLookMs = 250;

/** A broker that was asked to wait for its replicas answers before we give it up. */
const answerMarginMs = 2_000;

/**
 * {@link RecordProducer} by kafkajs: acks by all in-sync replicas, zstd unless sealed, no idempotence and no retries inside (kafkajs can
 * resolve a send that lost records when a leader moves). Connects at the first call. Neither creates topics.
 */
export function createRecordProducer(client: KafkaClient): RecordProducer {
  return new KafkajsProducer(client);
}

/** Before compression. On its way a request is there four times over, by kafkajs's encoders. */
const maxRequestBytes = 1_048_576;

interface Connection {
  readonly producer: Producer;
  readonly open: OpenKafka;
}

class KafkajsProducer implements RecordProducer {
  readonly #client: KafkaClient;
  /** Leaders as kafkajs knew them at its last send, by topic and partition. */
  readonly #leaders = new Map<string, Map<number, number>>();
  /** Times in a row that a topic was unknown. */
  readonly #missing = new Map<string, number>();
  #learned: object | undefined;
  #connection: Promise<Connection> | undefined;
  #closed = false;

  constructor(client: KafkaClient) {
    this.#client = client;
  }

  partitionCount(topic: string): Promise<number> {
    return withAdmin(this.#client, async (admin) => {
      for (let look = 1; look <= missingLooks; look += 1) {
        const found = await partitionsOf(admin, topic);
        if (found !== undefined && found > 0) return found;
        await sleep(missingLookMs);
      }
      throw new PipelineError('KAFKA_TOPIC_MISSING', `topic ${topic}`);
    });
  }

  /** Requests to each leader, so that what one broker fails leaves the others' answers as they are. */
  async send(topic: string, batches: readonly PartitionBatch[]): Promise<PartitionAck[]> {
    const leaders = this.#leaders.get(topic);
    const byLeader = Map.groupBy(batches, ({ partition }) => leaders?.get(partition));
    const sent = await Promise.all([...byLeader.values()].map((group) => this.#toLeader(topic, group)));
    const acks = new Map(sent.flat().map((ack) => [ack.partition, ack]));
    return batches.map(({ partition }) => acks.get(partition) ?? unanswered(partition));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connection = await this.#connection?.catch(() => undefined);
    if (connection !== undefined) await disconnect(connection);
  }

  /** One after the other; when one is not answered, the rest is not tried. Never rejects. */
  async #toLeader(topic: string, batches: readonly PartitionBatch[]): Promise<PartitionAck[]> {
    const all: PartitionAck[] = [];
    for (const request of requestsOf(batches)) {
      const { acks, answered } = await this.#request(topic, request);
      all.push(...acks);
      if (!answered) break;
    }
    return all;
  }

  /** Never rejects. */
  async #request(
    topic: string,
    batches: readonly PartitionBatch[],
  ): Promise<{ acks: PartitionAck[]; answered: boolean }> {
    let connection: Promise<Connection> | undefined;
    try {
      connection = this.#connect();
      const { producer } = await connection;
      const answer = await producer.send({
        topic,
        acks: -1,
        timeout: Math.max(1_000, this.#client.requestTimeoutMs - answerMarginMs),
        compression: kafkajs.CompressionTypes.ZSTD,
        messages: batches.map(
          ({ partition, records }) => new OutgoingBlock(partition, records, codecFor(records)),
        ),
      });
      this.#missing.delete(topic);
      const acks = batches.map(({ partition }) => acknowledgement(topic, partition, answer));
      if (acks.some((ack) => 'error' in ack)) this.#connectAfresh(connection);
      return { acks, answered: true };
    } catch (error) {
      // An answer of the broker says of each partition what became of it; its "unknown topic" is a leader that moved.
      const answer = producedAnswer(error);
      if (answer !== undefined) {
        this.#missing.delete(topic);
        const acks = batches.map(({ partition }) => acknowledgement(topic, partition, answer));
        return { acks, answered: true };
      }
      if (connection !== undefined && isTimeout(error)) this.#connectAfresh(connection);
      const known = this.#confirmed(topic, classifyKafkaError(error));
      return { acks: batches.map(({ partition }) => ({ partition, error: known })), answered: false };
    }
  }

  #confirmed(topic: string, error: PipelineError): PipelineError {
    if (error.code !== 'KAFKA_TOPIC_MISSING') return error;
    const times = (this.#missing.get(topic) ?? 0) + 1;
    this.#missing.set(topic, times);
    return times < missingLooks
      ? new PipelineError('KAFKA_UNAVAILABLE', error.detail)
      : new PipelineError('KAFKA_TOPIC_MISSING', `topic ${topic}`);
  }

  /**
   * For new metadata, which kafkajs does not ask for before the old have aged when a partition is not in them or its
   * leader does not answer. What is under way on the old connection ends there.
   */
  #connectAfresh(old: Promise<Connection>): void {
    if (this.#connection !== old) return;
    this.#connection = undefined;
    void old.then(disconnect, () => undefined);
  }

  #connect(): Promise<Connection> {
    if (this.#closed) throw new PipelineError('INTERNAL', 'a record was sent by a closed producer');
    this.#connection ??= this.#connectAnew().catch((error: unknown) => {
      this.#connection = undefined;
      throw error;
    });
    return this.#connection;
  }

  async #connectAnew(): Promise<Connection> {
    const open = this.#client.open();
    const producer = open.kafka.producer({
      idempotent: false,
      retry: { retries: 0 },
      allowAutoTopicCreation: false,
      metadataMaxAge: 30_000,
      createPartitioner: () => (choice) => {
        this.#learnLeaders(choice.topic, choice.partitionMetadata);
        return choice.message.partition ?? 0;
      },
    });
    let connected = false;
    producer.on(producer.events.REQUEST_TIMEOUT, ({ payload }) => {
      if (connected) open.cut(payload.broker);
      else open.abort();
    });
    try {
      await producer.connect();
      connected = true;
      return { producer, open };
    } catch (error) {
      open.abort();
      throw error;
    }
  }

  /** kafkajs hands its metadata to the partitioner with every batch; the array is new only when they are. */
  #learnLeaders(topic: string, metadata: readonly { partitionId: number; leader: number }[]): void {
    if (this.#learned === metadata) return;
    this.#learned = metadata;
    this.#leaders.set(topic, new Map(metadata.map(({ partitionId, leader }) => [partitionId, leader])));
  }
}

/** Batches that go together: a request of records of 1 MiB has one of them. */
function requestsOf(batches: readonly PartitionBatch[]): PartitionBatch[][] {
  const requests: PartitionBatch[][] = [];
  let left = 0;
  for (const batch of batches) {
    const bytes = batch.records.reduce((sum, record) => sum + recordBytes(record), 0);
    if (bytes > left) {
      requests.push([]);
      left = maxRequestBytes;
    }
    requests.at(-1)?.push(batch);
    left -= bytes;
  }
  return requests;
}

/** What is sealed does not compress: zstd takes 3 % off a batch of logins, and 4 µs a record to read it again. */
function codecFor(records: PartitionBatch['records']): BatchCodec {
  return records[0]?.value[0] === sealedMarker ? 'none' : 'zstd';
}

/** Never rejects: connections that cannot be closed are cut. */
async function disconnect({ producer, open }: Connection): Promise<void> {
  await producer.disconnect().catch(() => undefined);
  open.abort();
}

type Answered = Pick<RecordMetadata, 'topicName' | 'partition' | 'errorCode' | 'baseOffset'>;

/** Acknowledged: this topic and partition, no error code, and an offset that is one. */
export function acknowledgement(topic: string, partition: number, answer: readonly Answered[]): PartitionAck {
  const found = answer.find((entry) => entry.topicName === topic && entry.partition === partition);
  if (found === undefined) return unanswered(partition);
  if (found.errorCode !== 0) {
    const error = classifyKafkaError(errorOfCode(found.errorCode));
    if (error.code !== 'KAFKA_TOPIC_MISSING') return { partition, error };
    return { partition, error: new PipelineError('KAFKA_UNAVAILABLE', error.detail) };
  }
  const baseOffset = BigInt(found.baseOffset ?? '-1');
  return baseOffset < 0n ? unanswered(partition) : { partition, baseOffset };
}

function unanswered(partition: number): PartitionAck {
  return {
    partition,
    error: new PipelineError('KAFKA_UNAVAILABLE', `partition ${partition} was not answered`),
  };
}
