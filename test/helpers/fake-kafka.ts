import type {
  ConsumerHandlers,
  IncomingRecord,
  OutgoingRecord,
  PartitionAck,
  PartitionBatch,
  Position,
  RecordConsumer,
  RecordProducer,
} from '../../shared/kafka/ports.ts';
import { PipelineError } from '../../shared/errors.ts';

/** What becomes of one partition of a request; `lost` = written, but the acknowledgement never comes. */
export type Fate = 'ack' | 'fail' | 'lost' | PipelineError;

interface Member {
  readonly consumer: FakeConsumer;
  partitions: number[];
}

/** Topics, groups and committed offsets in memory, with the promises of shared/kafka/ports.ts. */
export class FakeKafka {
  readonly #topics = new Map<string, IncomingRecord[][]>();
  readonly #committed = new Map<string, Map<number, bigint>>();
  readonly #groups = new Map<string, Member[]>();

  createTopic(topic: string, partitions: number): void {
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, () => []),
    );
  }

  partitions(topic: string): IncomingRecord[][] {
    const found = this.#topics.get(topic);
    if (found === undefined) throw new PipelineError('KAFKA_TOPIC_MISSING', `topic ${topic}`);
    return found;
  }

  append(topic: string, partition: number, records: readonly OutgoingRecord[]): bigint | undefined {
    const log = this.partitions(topic)[partition];
    if (log === undefined) return undefined;
    const baseOffset = BigInt(log.length);
    for (const record of records) {
      const { key, value, timestampMs, headers } = record;
      log.push({ offset: BigInt(log.length), key, value, timestampMs, headers: headers ?? {} });
    }
    for (const members of this.#groups.values()) for (const { consumer } of members) consumer.wake();
    return baseOffset;
  }

  /** Every record is acknowledged unless `fate` says otherwise. */
  producer(fate: (batch: PartitionBatch) => Fate | Promise<Fate> = () => 'ack'): RecordProducer {
    const send = async (topic: string, batch: PartitionBatch): Promise<PartitionAck> => {
      const { partition } = batch;
      const what = await fate(batch);
      if (what instanceof PipelineError) return { partition, error: what };
      const baseOffset = what === 'fail' ? undefined : this.append(topic, partition, batch.records);
      if (what === 'ack' && baseOffset !== undefined) return { partition, baseOffset };
      return { partition, error: new PipelineError('KAFKA_UNAVAILABLE') };
    };
    return {
      partitionCount: async (topic) => this.partitions(topic).length,
      send: (topic, batches) => Promise.all(batches.map((batch) => send(topic, batch))),
      close: async () => undefined,
    };
  }

  consumer(options: { topic: string; groupId: string; maxBatchRecords?: number }): RecordConsumer {
    return new FakeConsumer(this, options);
  }

  committed(groupId: string): Map<number, bigint> {
    const found = this.#committed.get(groupId) ?? new Map<number, bigint>();
    this.#committed.set(groupId, found);
    return found;
  }

  join(groupId: string, consumer: FakeConsumer): void {
    const members = this.#groups.get(groupId) ?? [];
    this.#groups.set(groupId, [...members, { consumer, partitions: [] }]);
    this.#rebalance(groupId, consumer.topic);
  }

  leave(groupId: string, consumer: FakeConsumer): void {
    const members = this.#groups.get(groupId) ?? [];
    this.#groups.set(
      groupId,
      members.filter((member) => member.consumer !== consumer),
    );
    this.#rebalance(groupId, consumer.topic);
  }

  assignment(groupId: string, consumer: FakeConsumer): number[] {
    return this.#groups.get(groupId)?.find((member) => member.consumer === consumer)?.partitions ?? [];
  }

  #rebalance(groupId: string, topic: string): void {
    const members = this.#groups.get(groupId) ?? [];
    for (const member of members) member.partitions = [];
    this.partitions(topic).forEach((_, partition) => {
      members[partition % members.length]?.partitions.push(partition);
    });
    for (const { consumer } of members) consumer.rebalance();
  }
}

class Rebalancing extends Error {}

/** One member; it delivers one batch at a time, as the kafkajs adapter does. */
class FakeConsumer implements RecordConsumer {
  readonly topic: string;
  readonly #kafka: FakeKafka;
  readonly #groupId: string;
  readonly #maxBatchRecords: number;
  readonly #stopping = new AbortController();
  #position = new Map<number, bigint>();
  #rebalancing = false;
  #assigned: readonly number[] = [];
  #run: Promise<void> | undefined;
  #woken = false;
  #wake: () => void = () => undefined;

  constructor(kafka: FakeKafka, options: { topic: string; groupId: string; maxBatchRecords?: number }) {
    this.#kafka = kafka;
    this.topic = options.topic;
    this.#groupId = options.groupId;
    this.#maxBatchRecords = options.maxBatchRecords ?? 500;
  }

  wake(): void {
    this.#woken = true;
    this.#wake();
  }

  rebalance(): void {
    this.#rebalancing = true;
    this.wake();
  }

  run(handlers: ConsumerHandlers): Promise<void> {
    this.#run = this.#loop(handlers);
    return this.#run;
  }

  async commit(position: Position): Promise<void> {
    const committed = this.#kafka.committed(this.#groupId);
    for (const [partition, offset] of position) {
      if (this.#assigned.includes(partition)) committed.set(partition, offset);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#run?.catch(() => undefined);
  }

  async #loop(handlers: ConsumerHandlers): Promise<void> {
    const stop = this.#stopping.signal;
    if (stop.aborted) return;
    this.#kafka.join(this.#groupId, this);
    try {
      while (!stop.aborted) {
        if (this.#rebalancing) this.#assign(handlers);
        const delivered = await this.#deliver(handlers);
        // A turn of the event loop between rounds: a real fetch takes one too.
        await new Promise((resolve) => setImmediate(resolve));
        if (!delivered && !this.#woken && !stop.aborted) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        this.#woken = false;
      }
    } finally {
      this.#assigned = [];
      this.#kafka.leave(this.#groupId, this);
    }
  }

  #assign(handlers: ConsumerHandlers): void {
    this.#rebalancing = false;
    this.#assigned = this.#kafka.assignment(this.#groupId, this);
    const committed = this.#kafka.committed(this.#groupId);
    this.#position = new Map(this.#assigned.map((partition) => [partition, committed.get(partition) ?? 0n]));
    handlers.onAssigned(this.#assigned);
  }

  async #deliver(handlers: ConsumerHandlers): Promise<boolean> {
    const stop = this.#stopping.signal;
    const left = new Set<unknown>();
    const heartbeat = async (): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      if (!this.#rebalancing && !stop.aborted) return;
      const error = new Rebalancing();
      left.add(error);
      throw error;
    };
    let delivered = false;
    for (const [partition, from] of this.#position) {
      const log = this.#kafka.partitions(this.topic)[partition] ?? [];
      const records = log.slice(Number(from), Number(from) + this.#maxBatchRecords);
      const last = records.at(-1);
      if (last === undefined) continue;
      if (this.#rebalancing || stop.aborted) return true;
      try {
        const highWatermark = BigInt(log.length);
        await handlers.onBatch({ topic: this.topic, partition, records, highWatermark }, heartbeat);
      } catch (error) {
        if (!left.has(error)) throw error;
        this.#rebalancing = true;
        return true;
      }
      this.#position.set(partition, last.offset + 1n);
      delivered = true;
    }
    return delivered;
  }
}
