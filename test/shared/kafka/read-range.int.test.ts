import { randomBytes } from 'node:crypto';
import { expect, inject, it } from 'vitest';
import { withAdmin } from '../../../shared/kafka/admin.ts';
import { createRecordConsumer } from '../../../shared/kafka/kafkajs-consumer.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import { committedOffsets } from '../../../shared/kafka/offsets.ts';
import type { OutgoingRecord } from '../../../shared/kafka/ports.ts';
import {
  readRange,
  resolveRange,
  type RangeBatch,
  type TopicRange,
} from '../../../shared/kafka/read-range.ts';
import { eventually } from '../../helpers/pipeline.ts';
import { rememberOpened } from '../../helpers/opened-clients.ts';
import { createTopic, randomName, testKafkaClient } from '../../helpers/topics.ts';

const brokers = inject('kafkaBrokers');
const client = testKafkaClient(brokers);
const firstMs = 1_764_000_000_000;

/** Numbered, or of random bytes, which no codec makes smaller. */
const numbered = (count: number, bytes?: number): OutgoingRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    key: Buffer.from('k'),
    value: bytes === undefined ? Buffer.from(String(i)) : randomBytes(bytes),
    timestampMs: firstMs + i * 1_000,
  }));

async function filled(partitions: readonly (readonly OutgoingRecord[])[], batchOf = 1_000): Promise<string> {
  const topic = await createTopic(brokers, { partitions: partitions.length });
  await append(topic, partitions, batchOf);
  return topic;
}

async function append(
  topic: string,
  partitions: readonly (readonly OutgoingRecord[])[],
  batchOf = 1_000,
): Promise<void> {
  const producer = createRecordProducer(client);
  for (const [partition, records] of partitions.entries()) {
    for (let at = 0; at < records.length; at += batchOf) {
      const [ack] = await producer.send(topic, [{ partition, records: records.slice(at, at + batchOf) }]);
      expect(ack).toMatchObject({ partition, baseOffset: expect.any(BigInt) });
    }
  }
  await producer.close();
}

async function read(topic: string, range: TopicRange, options = {}): Promise<RangeBatch[]> {
  const batches: RangeBatch[] = [];
  for await (const batch of readRange(client, topic, range, options)) batches.push(batch);
  return batches;
}

const offsetsOf = (batches: readonly RangeBatch[], partition: number): number[] =>
  batches
    .filter((batch) => batch.partition === partition)
    .flatMap(({ records }) => records.map(({ offset }) => Number(offset)));
const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

it('reads each record of a range once, in order, and ends', async () => {
  const topic = await filled([numbered(2_500), [], numbered(7)]);
  const range = await resolveRange(client, topic);
  expect([...range]).toEqual([
    [0, { from: 0n, to: 2_500n }],
    [1, { from: 0n, to: 0n }],
    [2, { from: 0n, to: 7n }],
  ]);
  await append(topic, [numbered(5)]);
  const batches = await read(topic, range, { maxBytesPerPartition: 4_096 });
  expect(offsetsOf(batches, 0)).toEqual(upTo(0, 2_500));
  expect(offsetsOf(batches, 2)).toEqual(upTo(0, 7));
  expect(batches.at(-1)?.missed).toBe(0n);
});

it('begins and ends inside a compressed batch, at the offset asked for', async () => {
  const topic = await filled([numbered(100)], 100);
  const batches = await read(topic, new Map([[0, { from: 40n, to: 60n }]]));
  expect(offsetsOf(batches, 0)).toEqual(upTo(40, 60));
  expect(batches.at(-1)?.nextOffset).toBe(60n);
});

it('goes on where a reader stopped', async () => {
  const topic = await filled([numbered(3_000, 500)], 100);
  const range = await resolveRange(client, topic);
  const seen: number[] = [];
  let nextOffset = 0n;
  for await (const batch of readRange(client, topic, range, { maxBytesPerPartition: 100_000 })) {
    seen.push(...offsetsOf([batch], 0));
    ({ nextOffset } = batch);
    if (seen.length > 1_000) break;
  }
  expect(seen.length).toBeLessThan(3_000);
  expect(nextOffset).toBe(BigInt(seen.length));
  const rest = await read(topic, new Map([[0, { from: nextOffset, to: 3_000n }]]));
  expect([...seen, ...offsetsOf(rest, 0)]).toEqual(upTo(0, 3_000));
});

it('finds the first record that is not older, though times come in any order', async () => {
  const at = (seconds: number): OutgoingRecord => ({
    key: Buffer.from('k'),
    value: Buffer.from('v'),
    timestampMs: firstMs + seconds * 1_000,
  });
  const topic = await filled([[at(10), at(30), at(20), at(40)], [at(1)]], 1);
  const range = await resolveRange(client, topic, { fromMs: firstMs + 20_000 });
  expect([...range]).toEqual([
    [0, { from: 1n, to: 4n }],
    [1, { from: 1n, to: 1n }],
  ]);
  const one = await resolveRange(client, topic, { partitions: [1] });
  expect([...one]).toEqual([[1, { from: 0n, to: 1n }]]);
  await expect(resolveRange(client, topic, { partitions: [2] })).rejects.toMatchObject({ code: 'USAGE' });
});

it('says how many offsets retention took away before they were read', async () => {
  const topic = await filled([numbered(50), numbered(3)], 10);
  await withAdmin(client, async (admin) => {
    // kafkajs looks for the leaders of a topic that it has not asked about.
    await admin.fetchTopicOffsets(topic);
    await admin.deleteTopicRecords({
      topic,
      partitions: [
        { partition: 0, offset: '20' },
        { partition: 1, offset: '3' },
      ],
    });
  });
  const batches = await read(
    topic,
    new Map([
      [0, { from: 5n, to: 50n }],
      [1, { from: 0n, to: 3n }],
    ]),
  );
  expect(offsetsOf(batches, 0)).toEqual(upTo(20, 50));
  const missed = (partition: number) =>
    batches.filter((batch) => batch.partition === partition).reduce((sum, batch) => sum + batch.missed, 0n);
  expect([missed(0), missed(1)]).toEqual([15n, 3n]);
  expect(batches.findLast(({ partition }) => partition === 1)?.nextOffset).toBe(3n);
});

it('reads records of 1 MiB beside small ones, whatever the limits', async () => {
  const large = numbered(4, 1_048_576);
  const topic = await filled([large, numbered(20), large], 1);
  const range = await resolveRange(client, topic);
  const batches = await read(topic, range, { maxBytes: 10_000, maxBytesPerPartition: 1_000 });
  expect([offsetsOf(batches, 0), offsetsOf(batches, 1), offsetsOf(batches, 2)]).toEqual([
    upTo(0, 4),
    upTo(0, 20),
    upTo(0, 4),
  ]);
});

it('leaves a live group its member, its partitions and its offsets', async () => {
  const topic = await filled([numbered(10)]);
  const group = randomName('live');
  await withAdmin(client, (admin) =>
    admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '4' }] }),
  );
  const assigned: (readonly number[])[] = [];
  const live = createRecordConsumer(client, { topic, groupId: group });
  const running = live.run({
    onBatch: async () => {},
    onAssigned: (partitions) => assigned.push(partitions),
  });
  await eventually('the live group is joined', () => assigned.length === 1);
  expect(offsetsOf(await read(topic, await resolveRange(client, topic)), 0)).toEqual(upTo(0, 10));
  await live.stop();
  await running;
  expect(assigned).toEqual([[0]]);
  expect([...(await committedOffsets(client, group, topic))]).toEqual([[0, 4n]]);
});

it('goes on after its connections were cut', async () => {
  const topic = await filled([numbered(2_000, 1_000)], 100);
  const remembered = rememberOpened(client);
  const range = await resolveRange(client, topic);
  const seen: number[] = [];
  let cuts = 0;
  for await (const batch of readRange(remembered.client, topic, range, { maxBytesPerPartition: 200_000 })) {
    seen.push(...offsetsOf([batch], 0));
    if (cuts < 3) {
      remembered.opened.at(-1)?.cut(brokers);
      cuts += 1;
    }
  }
  expect(cuts).toBe(3);
  expect(seen).toEqual(upTo(0, 2_000));
});

it('ends between two batches when told to, and says what cannot be read', async () => {
  const topic = await filled([numbered(100)], 10);
  const stop = new AbortController();
  const batches: RangeBatch[] = [];
  for await (const batch of readRange(client, topic, new Map([[0, { from: 0n, to: 100n }]]), {
    signal: stop.signal,
    maxBytesPerPartition: 200,
  })) {
    batches.push(batch);
    stop.abort();
  }
  expect(batches).toHaveLength(1);
  await expect(read(randomName('none'), new Map([[0, { from: 0n, to: 1n }]]))).rejects.toMatchObject({
    code: 'KAFKA_TOPIC_MISSING',
  });
  await expect(read(topic, new Map([[0, { from: 0n, to: 200n }]]), { maxWaitMs: 10 })).rejects.toMatchObject({
    code: 'KAFKA_TOPIC_MISSING',
    message: expect.stringContaining('made anew'),
  });
  await expect(read(topic, new Map([[0, { from: 150n, to: 200n }]]))).rejects.toMatchObject({
    message: expect.stringContaining('made anew'),
  });
  const nowhere = testKafkaClient('127.0.0.1:1');
  await expect(
    readRange(nowhere, topic, new Map([[0, { from: 0n, to: 1n }]]), { attempts: 2 }).next(),
  ).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
});
