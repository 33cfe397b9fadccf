import { randomBytes } from 'node:crypto';
import kafkajs from 'kafkajs';
import { describe, expect, inject, it } from 'vitest';
import { withAdmin } from '../../../shared/kafka/admin.ts';
import { acknowledgement, createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import { rememberOpened } from '../../helpers/opened-clients.ts';
import { createTopic, randomName, readAll, testKafkaClient } from '../../helpers/topics.ts';

const brokers = inject('kafkaBrokers');
const record = (value: Buffer) => ({ key: Buffer.from('k'), value, timestampMs: 1_764_000_000_000 });
const small = record(Buffer.from('small'));

it('keeps the acknowledgements of partitions beside one whose record is too large', async () => {
  const topic = await createTopic(brokers, { partitions: 3, maxMessageBytes: 2_000 });
  const producer = createRecordProducer(testKafkaClient(brokers));
  const large = record(randomBytes(5_000));
  const acks = await producer.send(topic, [
    { partition: 0, records: [large] },
    { partition: 1, records: [small] },
    { partition: 2, records: [small] },
  ]);
  expect(acks).toMatchObject([
    { partition: 0, error: { code: 'KAFKA_RECORD_TOO_LARGE' } },
    { partition: 1, baseOffset: 0n },
    { partition: 2, baseOffset: 0n },
  ]);
  await producer.close();
});

describe('an answer of the broker acknowledges', () => {
  const answer = { topicName: 'raw', partition: 3, errorCode: 0, baseOffset: '17' };
  it('the partition it names, at the offset it gives', () => {
    expect(acknowledgement('raw', 3, [{ ...answer, partition: 2, baseOffset: '1' }, answer])).toEqual({
      partition: 3,
      baseOffset: 17n,
    });
  });
  it.for([
    ['another partition', [{ ...answer, partition: 2 }]],
    ['another topic', [{ ...answer, topicName: 'dead' }]],
    ['nothing', []],
    ['no offset', [{ topicName: 'raw', partition: 3, errorCode: 0 }]],
    ['an offset that is none', [{ ...answer, baseOffset: '-1' }]],
    ['an error', [{ ...answer, errorCode: 19 }]],
  ] as const)('not this one, when it names %s', ([, answers]) => {
    expect(acknowledgement('raw', 3, answers)).toMatchObject({
      partition: 3,
      error: { code: 'KAFKA_UNAVAILABLE' },
    });
  });
});

it('says at first that it is an outage, then that the topic is missing, and creates none', async () => {
  const topic = randomName('missing');
  const producer = createRecordProducer(testKafkaClient(brokers));
  const codes: unknown[] = [];
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const [ack] = await producer.send(topic, [{ partition: 0, records: [small] }]);
    codes.push(ack !== undefined && 'error' in ack ? ack.error : ack);
  }
  expect(codes).toMatchObject([
    { code: 'KAFKA_UNAVAILABLE' },
    { code: 'KAFKA_UNAVAILABLE' },
    { code: 'KAFKA_TOPIC_MISSING' },
  ]);
  await producer.close();
  const topics = await withAdmin(testKafkaClient(brokers), (admin) => admin.listTopics());
  expect(topics).not.toContain(topic);
});

it('works again after its connections were cut, and after the brokers could not be reached', async () => {
  const topic = await createTopic(brokers, { partitions: 1 });
  const { client, opened } = rememberOpened(testKafkaClient(brokers));
  const producer = createRecordProducer(client);
  const send = async () => (await producer.send(topic, [{ partition: 0, records: [small] }]))[0];
  expect(await send()).toEqual({ partition: 0, baseOffset: 0n });
  opened.at(-1)?.cut(brokers);
  expect([await send(), await send()].at(-1)).toMatchObject({ partition: 0, baseOffset: expect.any(BigInt) });
  await producer.close();
});

it('answers for a broker that is not there, and does not hang', async () => {
  const producer = createRecordProducer(testKafkaClient('127.0.0.1:1'));
  await expect(producer.partitionCount('topic')).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
  const acks = await producer.send('topic', [{ partition: 0, records: [small] }]);
  expect(acks).toMatchObject([
    { partition: 0, error: { code: 'KAFKA_UNAVAILABLE', detail: 'ECONNREFUSED' } },
  ]);
  await producer.close();
});

it('sees a partition that was added after its first send', async () => {
  const topic = await createTopic(brokers, { partitions: 1 });
  const client = testKafkaClient(brokers);
  const producer = createRecordProducer(client);
  await producer.send(topic, [{ partition: 0, records: [small] }]);
  await withAdmin(client, (admin) => admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }));
  let ack: unknown;
  for (let attempt = 0; attempt < 50 && !(ack instanceof Object && 'baseOffset' in ack); attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    [ack] = await producer.send(topic, [{ partition: 1, records: [small] }]);
  }
  expect(ack).toEqual({ partition: 1, baseOffset: 0n });
  await producer.close();
});

it('reads the zstd that a broker, in Java, has written', async () => {
  const topic = await createTopic(brokers, { partitions: 1 });
  const client = testKafkaClient(brokers);
  await withAdmin(client, (admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          type: kafkajs.ConfigResourceTypes.TOPIC,
          name: topic,
          configEntries: [{ name: 'compression.type', value: 'zstd' }],
        },
      ],
    }),
  );
  const open = client.open();
  const plain = open.kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
  await plain.connect();
  const values = Array.from({ length: 200 }, (_, i) => `${i} ${'json '.repeat(200)}`);
  await plain.send({
    topic,
    compression: kafkajs.CompressionTypes.GZIP,
    messages: values.map((value) => ({ value })),
  });
  await plain.disconnect();
  open.abort();
  const read = await readAll(brokers, topic);
  expect(read.map(({ value }) => value.toString())).toEqual(values);
});
