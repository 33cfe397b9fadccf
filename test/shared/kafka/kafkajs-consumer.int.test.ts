import { expect, inject, it } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { withAdmin } from '../../../shared/kafka/admin.ts';
import { createRecordConsumer } from '../../../shared/kafka/kafkajs-consumer.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import { committedOffsets } from '../../../shared/kafka/offsets.ts';
import type { FetchedBatch } from '../../../shared/kafka/ports.ts';
import { rememberOpened } from '../../helpers/opened-clients.ts';
import { createTopic, randomName, testKafkaClient } from '../../helpers/topics.ts';

const brokers = inject('kafkaBrokers');
const client = testKafkaClient(brokers);

async function send(topic: string, partition: number, values: string[]): Promise<void> {
  const producer = createRecordProducer(client);
  const records = values.map((value) => ({
    key: Buffer.from(value),
    value: Buffer.from(value),
    timestampMs: 1,
  }));
  // Again where needed: a partition just added is not known at once.
  await until('the records are sent', async () => {
    const [ack] = await producer.send(topic, [{ partition, records }]);
    return ack !== undefined && 'baseOffset' in ack;
  });
  await producer.close();
}

async function until(what: string, met: () => boolean | Promise<boolean>): Promise<void> {
  for (let look = 0; look < 1_000; look += 1) {
    if (await met()) return;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  expect.fail(`not within 30 s: ${what}`);
}

const valuesOf = (batch: FetchedBatch) => batch.records.map(({ value }) => value.toString());

it('joins again when its connections are cut, and goes on from the commit', async () => {
  const topic = await createTopic(brokers, { partitions: 2 });
  const groupId = randomName('group');
  const { client: remembering, opened } = rememberOpened(client);
  const consumer = createRecordConsumer(remembering, { topic, groupId });
  const read: string[] = [];
  let assignments = 0;
  const run = consumer.run({
    onBatch: async (batch) => {
      read.push(...valuesOf(batch));
    },
    onAssigned: () => {
      assignments += 1;
    },
  });
  await send(topic, 0, ['a', 'b']);
  await until('both are read', () => read.length === 2);
  await consumer.commit(new Map([[0, 1n]]));
  opened.at(-1)?.abort();
  await until('it has joined again', () => assignments === 2);
  await send(topic, 1, ['c']);
  await until('the rest is read', () => read.length >= 4);
  expect(read.slice(2).toSorted()).toEqual(['b', 'c']);
  await consumer.stop();
  await run;
});

it('reads a partition that is added while it runs, from its beginning', async () => {
  const topic = await createTopic(brokers, { partitions: 1 });
  const consumer = createRecordConsumer(client, {
    topic,
    groupId: randomName('group'),
    metadataMaxAgeMs: 300,
    maxWaitMs: 100,
  });
  const read: string[] = [];
  let assigned: readonly number[] = [];
  const run = consumer.run({
    onBatch: async (batch) => {
      read.push(...valuesOf(batch));
    },
    onAssigned: (partitions) => {
      assigned = partitions;
    },
  });
  await send(topic, 0, ['a']);
  await until('the first is read', () => read.includes('a'));
  await withAdmin(client, (admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] }));
  await send(topic, 2, ['b']);
  await until('the new partition is read', () => read.includes('b'));
  expect(assigned.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
  await consumer.stop();
  await run;
});

it('joins again after a handler met an outage, and reads the batch again', async () => {
  const topic = await createTopic(brokers, { partitions: 1 });
  await send(topic, 0, ['a']);
  const consumer = createRecordConsumer(client, { topic, groupId: randomName('group') });
  const seen: string[] = [];
  const run = consumer.run({
    onBatch: async (batch) => {
      seen.push(...valuesOf(batch));
      if (seen.length === 2) throw new PipelineError('DATABASE_UNAVAILABLE');
    },
    onAssigned: () => {
      seen.push('assigned');
    },
  });
  await until('it is read twice', () => seen.length === 4);
  expect(seen).toEqual(['assigned', 'a', 'assigned', 'a']);
  await consumer.stop();
  await run;
});

it('ends with an error that stops', async () => {
  const topic = await createTopic(brokers, { partitions: 1 });
  await send(topic, 0, ['a']);
  const consumer = createRecordConsumer(client, { topic, groupId: randomName('group') });
  const error = new PipelineError('DATABASE_FORBIDDEN');
  const run = consumer.run({ onBatch: () => Promise.reject(error), onAssigned: () => undefined });
  await expect(run).rejects.toBe(error);
});

it('says that a setting is wrong instead of trying for ever', async () => {
  const topic = await createTopic(brokers, { partitions: 1 });
  const sessionTimeoutMs = 40 * 60_000;
  const consumer = createRecordConsumer(client, { topic, groupId: randomName('group'), sessionTimeoutMs });
  const run = consumer.run({ onBatch: async () => undefined, onAssigned: () => undefined });
  await expect(run).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    detail: 'Kafka answered INVALID_SESSION_TIMEOUT',
  });
});

it('cannot commit for a group that has given its partitions to another', async () => {
  const topic = await createTopic(brokers, { partitions: 1 });
  const groupId = randomName('group');
  await send(topic, 0, ['a', 'b', 'c']);
  const stuck = createRecordConsumer(client, { topic, groupId });
  const release = Promise.withResolvers<void>();
  let holding = false;
  const stuckRun = stuck.run({
    onBatch: async () => {
      holding = true;
      await release.promise;
    },
    onAssigned: () => undefined,
  });
  await until('the first holds the batch and does not heartbeat', () => holding);

  const other = createRecordConsumer(client, { topic, groupId });
  const read: string[] = [];
  const otherRun = other.run({
    onBatch: async (batch) => {
      read.push(...valuesOf(batch));
    },
    onAssigned: () => undefined,
  });
  await until('the other has taken over', () => read.length >= 3);
  expect(read).toEqual(['a', 'b', 'c']);
  await other.commit(new Map([[0, 3n]]));
  await expect(stuck.commit(new Map([[0, 1n]]))).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
  expect(await committedOffsets(client, groupId, topic)).toEqual(new Map([[0, 3n]]));
  release.resolve();
  await Promise.all([stuck.stop(), other.stop()]);
  await Promise.all([stuckRun, otherRun]);
});

it('stops while it cannot reach a broker', async () => {
  const consumer = createRecordConsumer(testKafkaClient('127.0.0.1:1'), { topic: 't', groupId: 'g' });
  const run = consumer.run({ onBatch: async () => undefined, onAssigned: () => undefined });
  await new Promise((resolve) => setTimeout(resolve, 500));
  await consumer.stop();
  await expect(run).resolves.toBeUndefined();
});
