import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type {
  ConsumerHandlers,
  FetchedBatch,
  IncomingRecord,
  OutgoingRecord,
  RecordConsumer,
  RecordProducer,
} from '../../../shared/kafka/ports.ts';

/** What the suite needs of a system; a topic takes records of 1 MiB. */
export interface KafkaUnderTest {
  createTopic(partitions: number): Promise<string>;
  producer(): RecordProducer;
  consumer(options: { topic: string; groupId: string }): RecordConsumer;
}

const record = (value: string): OutgoingRecord => ({
  key: Buffer.from(value),
  value: Buffer.from(value),
  timestampMs: 1_764_000_000_000,
});

/** A member whose handlers remember what they were given, and can be made to wait as on a full queue. */
class Member implements AsyncDisposable {
  readonly records: (IncomingRecord & { readonly partition: number })[] = [];
  readonly assignments: (readonly number[])[] = [];
  readonly consumer: RecordConsumer;
  readonly run: Promise<void>;
  /** While true, onBatch waits and heartbeats. */
  full: boolean;
  waiting = false;
  /** Calls of onBatch that were under way when onAssigned was called. */
  crossings = 0;
  #running = 0;

  constructor(consumer: RecordConsumer, handlers: Partial<ConsumerHandlers> = {}, full = false) {
    this.full = full;
    this.consumer = consumer;
    this.run = consumer.run({
      onBatch: (batch, heartbeat) => this.#onBatch(batch, heartbeat),
      onAssigned: (partitions) => {
        this.crossings += this.#running;
        this.assignments.push(partitions.toSorted((a, b) => a - b));
      },
      ...handlers,
    });
    this.run.catch(() => undefined);
  }

  get values(): string[] {
    return this.records.map(({ value }) => value.toString());
  }

  async #onBatch(batch: FetchedBatch, heartbeat: () => Promise<void>): Promise<void> {
    this.#running += 1;
    try {
      while (this.full) {
        this.waiting = true;
        await new Promise((resolve) => setTimeout(resolve, 50));
        await heartbeat();
      }
      for (const { offset, key, value, timestampMs, headers } of batch.records)
        this.records.push({ offset, key, value, timestampMs, headers, partition: batch.partition });
    } finally {
      this.waiting = false;
      this.#running -= 1;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.consumer.stop();
    await this.run.catch(() => undefined);
  }
}

async function until(what: string, met: () => boolean): Promise<void> {
  for (let look = 0; look < 1_500; look += 1) {
    if (met()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect.fail(`not within 30 s: ${what}`);
}

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `r${from + i}`);

/** One suite for every adapter of RecordProducer and RecordConsumer. */
export function conformance(name: string, setUp: () => KafkaUnderTest | Promise<KafkaUnderTest>): void {
  describe(`${name}: producer and consumer`, () => {
    const groupId = () => `group-${randomBytes(6).toString('hex')}`;

    async function send(
      kafka: KafkaUnderTest,
      topic: string,
      partition: number,
      values: string[],
    ): Promise<void> {
      const producer = kafka.producer();
      const [ack] = await producer.send(topic, [{ partition, records: values.map(record) }]);
      expect(ack).toHaveProperty('baseOffset');
      await producer.close();
    }

    it('carries key, timestamp, headers and binary values, 1 MiB too', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(1);
      const sent: OutgoingRecord[] = [
        { key: Buffer.from([0, 255, 128]), value: randomBytes(300), timestampMs: 1_764_000_000_123 },
        { key: Buffer.from('k'), value: Buffer.alloc(0), timestampMs: 1_764_000_000_001 },
        {
          key: Buffer.from('k'),
          value: Buffer.from('{}'),
          timestampMs: 1_764_000_000_456,
          headers: {
            'message-id': Buffer.from('id'),
            'attr.é': Buffer.from([0, 200]),
            empty: Buffer.alloc(0),
          },
        },
        { key: Buffer.from('k'), value: randomBytes(1_048_576), timestampMs: 1_764_000_000_789 },
      ];
      const producer = kafka.producer();
      expect(await producer.send(topic, [{ partition: 0, records: sent.slice(0, 3) }])).toEqual([
        { partition: 0, baseOffset: 0n },
      ]);
      expect(await producer.send(topic, [{ partition: 0, records: sent.slice(3) }])).toEqual([
        { partition: 0, baseOffset: 3n },
      ]);
      await producer.close();

      await using member = new Member(kafka.consumer({ topic, groupId: groupId() }));
      await until('all are read', () => member.records.length === sent.length);
      sent.forEach((expected, i) => {
        const got = member.records[i];
        expect(got?.offset).toBe(BigInt(i));
        expect(got?.timestampMs).toBe(expected.timestampMs);
        expect(got?.key.equals(expected.key)).toBe(true);
        expect(got?.value.equals(expected.value)).toBe(true);
        expect(got?.headers).toEqual(expected.headers ?? {});
      });
    });

    it('puts records in the partition it is told, and acknowledges each on its own', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(4);
      const producer = kafka.producer();
      expect(await producer.partitionCount(topic)).toBe(4);
      const acks = await producer.send(topic, [
        { partition: 3, records: [record('a'), record('b')] },
        { partition: 9, records: [record('nowhere')] },
        { partition: 1, records: [record('c')] },
      ]);
      await producer.close();
      expect(acks.map(({ partition }) => partition)).toEqual([3, 9, 1]);
      expect(acks[0]).toEqual({ partition: 3, baseOffset: 0n });
      expect(acks[1]).toMatchObject({ error: { code: 'KAFKA_UNAVAILABLE' } });
      expect(acks[2]).toEqual({ partition: 1, baseOffset: 0n });

      await using member = new Member(kafka.consumer({ topic, groupId: groupId() }));
      await until('all are read', () => member.records.length === 3);
      expect(
        member.records.map(({ partition, value }) => `${partition} ${value.toString()}`).toSorted(),
      ).toEqual(['1 c', '3 a', '3 b']);
    });

    it('says of a topic that is not there that it is not', async () => {
      const kafka = await setUp();
      const producer = kafka.producer();
      await expect(producer.partitionCount(groupId())).rejects.toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
      await producer.close();
      const consumer = kafka.consumer({ topic: groupId(), groupId: groupId() });
      const run = consumer.run({ onBatch: async () => undefined, onAssigned: () => undefined });
      await expect(run).rejects.toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
      await consumer.stop();
    });

    it('reads on ahead of what is committed; the next member begins at the commit', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(1);
      const group = groupId();
      await send(kafka, topic, 0, numbered(0, 10));
      {
        await using first = new Member(kafka.consumer({ topic, groupId: group }));
        await until('the first ten are read', () => first.records.length === 10);
        await send(kafka, topic, 0, numbered(10, 20));
        await until('ten more are read, none committed', () => first.records.length === 20);
        expect(first.values).toEqual(numbered(0, 20));
        await first.consumer.commit(new Map([[0, 15n]]));
      }
      await using second = new Member(kafka.consumer({ topic, groupId: group }));
      await until('the uncommitted are read again', () => second.records.length >= 5);
      expect(second.values).toEqual(numbered(15, 20));
    });

    it('reads again what nobody committed', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(1);
      const group = groupId();
      await send(kafka, topic, 0, numbered(0, 5));
      for (let round = 0; round < 2; round += 1) {
        await using member = new Member(kafka.consumer({ topic, groupId: group }));
        await until('all are read', () => member.records.length === 5);
        expect(member.values).toEqual(numbered(0, 5));
      }
    });

    it('leaves out partitions that are not its own when it commits', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(1);
      const group = groupId();
      await send(kafka, topic, 0, ['a']);
      await using member = new Member(kafka.consumer({ topic, groupId: group }));
      await until('it is read', () => member.records.length === 1);
      const commit = (position: [number, bigint][]) => member.consumer.commit(new Map(position));
      await expect(commit([[7, 100n]])).resolves.toBeUndefined();
      await expect(
        commit([
          [0, 1n],
          [7, 100n],
        ]),
      ).resolves.toBeUndefined();
    });

    it('stops while a handler waits on a full queue, and reads the batch again afterwards', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(1);
      const group = groupId();
      await send(kafka, topic, 0, numbered(0, 5));
      {
        await using member = new Member(kafka.consumer({ topic, groupId: group }), {}, true);
        await until('the handler waits', () => member.waiting);
        await member.consumer.stop();
        await member.run;
        expect(member.records).toEqual([]);
      }
      await using next = new Member(kafka.consumer({ topic, groupId: group }));
      await until('all are read', () => next.records.length >= 5);
      expect(next.values).toEqual(numbered(0, 5));
    });

    it('ends with the error of a handler', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(1);
      await send(kafka, topic, 0, ['a']);
      const error = new Error('a defect');
      const onBatch = () => Promise.reject(error);
      await using member = new Member(kafka.consumer({ topic, groupId: groupId() }), { onBatch });
      await expect(member.run).rejects.toBe(error);
    });

    it('can be stopped twice, and before it was run', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(1);
      const consumer = kafka.consumer({ topic, groupId: groupId() });
      await Promise.all([consumer.stop(), consumer.stop()]);
      const run = consumer.run({ onBatch: async () => undefined, onAssigned: () => undefined });
      await expect(run).resolves.toBeUndefined();
    });

    it('shares partitions with a second member, hands them back, and nothing is lost', async () => {
      const kafka = await setUp();
      const topic = await kafka.createTopic(4);
      const group = groupId();
      const all: string[] = [];
      const sendMore = async (round: number) => {
        for (let partition = 0; partition < 4; partition += 1) {
          const values = numbered(round * 100 + partition * 10, round * 100 + partition * 10 + 10);
          all.push(...values);
          await send(kafka, topic, partition, values);
        }
      };
      await sendMore(0);
      await using first = new Member(kafka.consumer({ topic, groupId: group }));
      await until('the first has read all', () => first.records.length === 40);
      expect(first.assignments).toEqual([[0, 1, 2, 3]]);
      first.full = true;
      await sendMore(1);
      await until('the first waits', () => first.waiting);

      await using second = new Member(kafka.consumer({ topic, groupId: group }));
      await until('the second has joined', () => second.assignments.length > 0);
      await until('the first has joined again', () => first.assignments.at(-1)?.length === 2);
      const shared = [first, second].flatMap(({ assignments }) => assignments.at(-1) ?? []);
      expect(shared.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
      first.full = false;
      const read = () => new Set([...first.values, ...second.values]);
      await until('both have read all', () => read().size === 80);

      const before = first.assignments.length;
      await second.consumer.stop();
      await until('the first has all partitions', () => first.assignments.length > before);
      expect(first.assignments.at(-1)).toEqual([0, 1, 2, 3]);
      await sendMore(2);
      await until('the first has read what came since', () => read().size === 120);
      expect([...read()].toSorted()).toEqual(all.toSorted());
      expect(first.crossings + second.crossings).toBe(0);
    });
  });
}
