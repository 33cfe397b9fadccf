import kafkajs from 'kafkajs';
import { describe, expect, inject, it } from 'vitest';
import { withAdmin } from '../../../shared/kafka/admin.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import { committedOffsets, topicOffsets } from '../../../shared/kafka/offsets.ts';
import { ensureTopics, type TopicSpec } from '../../../shared/kafka/topics.ts';
import { createTopic, randomName, testKafkaClient } from '../../helpers/topics.ts';

const brokers = inject('kafkaBrokers');
const client = testKafkaClient(brokers);
const spec = (given: Partial<TopicSpec> = {}): TopicSpec => ({
  topic: randomName('topic'),
  partitions: 2,
  replication: 1,
  minInsync: 1,
  ...given,
});

async function configOf(topic: string, ...names: string[]): Promise<(string | undefined)[]> {
  const { resources } = await withAdmin(client, (admin) =>
    admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
    }),
  );
  const entries = resources.flatMap(({ configEntries }) => configEntries);
  return names.map((name) => entries.find(({ configName }) => configName === name)?.configValue);
}

describe('ensureTopics', () => {
  it('creates what is missing, as told, and then finds nothing to do', async () => {
    const wanted = spec({ partitions: 3, retentionMs: 3_600_000 });
    const [created] = await ensureTopics(client, [wanted]);
    expect(created).toEqual({ topic: wanted.topic, created: true, corrected: [] });
    expect((await topicOffsets(client, wanted.topic)).size).toBe(3);
    expect(
      await configOf(wanted.topic, 'max.message.bytes', 'min.insync.replicas', 'retention.ms', 'segment.ms'),
    ).toEqual(['2097152', '1', '3600000', '604800000']);
    expect(await ensureTopics(client, [wanted])).toEqual([
      { topic: wanted.topic, created: false, corrected: [] },
    ]);
  });

  it('adds partitions, corrects settings and leaves others alone', async () => {
    const wanted = spec({ retentionMs: 7_200_000 });
    await ensureTopics(client, [wanted]);
    const { retentionMs, ...rest } = wanted;
    expect(retentionMs).toBe(7_200_000);
    expect(await ensureTopics(client, [{ ...rest, partitions: 5, maxMessageBytes: 3_000_000 }])).toEqual([
      { topic: wanted.topic, created: false, partitionsBefore: 2, corrected: ['max.message.bytes'] },
    ]);
    expect((await topicOffsets(client, wanted.topic)).size).toBe(5);
    expect(await configOf(wanted.topic, 'max.message.bytes', 'retention.ms')).toEqual(['3000000', '7200000']);
  });

  it('refuses to take partitions away', async () => {
    const wanted = spec({ partitions: 3 });
    await ensureTopics(client, [wanted]);
    await expect(ensureTopics(client, [{ ...wanted, partitions: 2 }])).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    expect((await topicOffsets(client, wanted.topic)).size).toBe(3);
  });

  it('says so when there are fewer brokers than replicas', async () => {
    await expect(ensureTopics(client, [spec({ replication: 3 })])).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      detail: 'Kafka answered INVALID_REPLICATION_FACTOR',
    });
  });

  it('is safe when run by several at once', async () => {
    const wanted = spec();
    const several = (given: TopicSpec) => Promise.all([1, 2, 3, 4].map(() => ensureTopics(client, [given])));
    const created = await several(wanted);
    expect(created.flat().filter((outcome) => outcome.created)).toHaveLength(1);
    await several({ ...wanted, partitions: 6, maxMessageBytes: 1_500_000 });
    expect((await topicOffsets(client, wanted.topic)).size).toBe(6);
    expect(await configOf(wanted.topic, 'max.message.bytes')).toEqual(['1500000']);
  });
});

describe('offsets', () => {
  it('are given by partition, and none where none is committed', async () => {
    const topic = await createTopic(brokers, { partitions: 2 });
    const producer = createRecordProducer(client);
    const record = { key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: 1_764_000_000_000 };
    await producer.send(topic, [{ partition: 1, records: [record, record] }]);
    await producer.close();
    expect(await topicOffsets(client, topic)).toEqual(
      new Map([
        [0, { low: 0n, high: 0n }],
        [1, { low: 0n, high: 2n }],
      ]),
    );
    expect(await committedOffsets(client, randomName('group'), topic)).toEqual(
      new Map([
        [0, undefined],
        [1, undefined],
      ]),
    );
  });

  it('of a topic that is not there are not there', async () => {
    const topic = randomName('missing');
    await expect(topicOffsets(client, topic)).rejects.toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
    await expect(committedOffsets(client, 'g', topic)).rejects.toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
  });
});
