import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kafkaSlice, parseConfig } from '../../../shared/config.ts';
import { kafkaAccess } from '../../../shared/kafka/access.ts';
import { createKafkaClient } from '../../../shared/kafka/kafkajs-client.ts';
import { createRecordConsumer } from '../../../shared/kafka/kafkajs-consumer.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import { openSecureKafka, type SecureKafka } from '../../helpers/own-kafka.ts';
import { createTopic, randomName } from '../../helpers/topics.ts';

let kafka: SecureKafka;
let topic: string;
beforeAll(async () => {
  kafka = await openSecureKafka();
  topic = await createTopic(kafka.plain, { partitions: 1 });
}, 120_000);
afterAll(() => kafka[Symbol.asyncDispose]());

type Settings = (kafka: SecureKafka) => Record<string, string>;

const mutual: Settings = ({ mutual: brokers, files }) => ({
  KAFKA_BROKERS: brokers,
  KAFKA_TLS: 'on',
  KAFKA_CA_FILE: files.ca,
  KAFKA_CERT_FILE: files.cert,
  KAFKA_KEY_FILE: files.key,
});
const login =
  (mechanism: string, more: Record<string, string> = {}): Settings =>
  ({ sasl, files, user }) => ({
    KAFKA_BROKERS: sasl,
    KAFKA_TLS: 'on',
    KAFKA_CA_FILE: files.ca,
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_USERNAME: user.name,
    KAFKA_PASSWORD: user.password,
    ...more,
  });
const withoutTls: Settings = ({ saslPlain, user }) => ({
  KAFKA_BROKERS: saslPlain,
  KAFKA_SASL_MECHANISM: 'scram-sha-256',
  KAFKA_USERNAME: user.name,
  KAFKA_PASSWORD: user.password,
});

function clientOf(settings: Settings, more: Record<string, string> = {}) {
  const access = kafkaAccess(parseConfig({ ...settings(kafka), ...more }, kafkaSlice));
  return createKafkaClient({ ...access, clientId: 'sluice-test', log: pino({ level: 'silent' }) });
}

describe('a cluster that wants TLS, certificates or passwords', () => {
  test.for([
    ['TLS, with a certificate of ours', mutual],
    ['TLS and PLAIN', login('plain')],
    ['TLS and SCRAM-SHA-256', login('scram-sha-256')],
    ['TLS and SCRAM-SHA-512', login('scram-sha-512')],
    ['SCRAM-SHA-256 alone', withoutTls],
  ] as const)('%s: what our codec writes, our codec reads', async ([, settings]) => {
    const client = clientOf(settings);
    const key = randomUUID();
    const producer = createRecordProducer(client);
    const record = { key: Buffer.from(key), value: Buffer.alloc(200_000, 'x'), timestampMs: Date.now() };
    const acks = await producer.send(topic, [{ partition: 0, records: [record] }]);
    await producer.close();
    expect(acks).toEqual([{ partition: 0, baseOffset: expect.any(BigInt) }]);

    const consumer = createRecordConsumer(client, { topic, groupId: randomName('group') });
    const { promise: found, resolve } = Promise.withResolvers<Buffer>();
    const running = consumer.run({
      onAssigned: () => {},
      async onBatch({ records }) {
        const ours = records.find((read) => read.key.toString() === key);
        if (ours !== undefined) resolve(ours.value);
      },
    });
    expect((await found).equals(record.value)).toBe(true);
    await consumer.stop();
    await running;
  });

  test.for([
    ['an authority that nobody knows', mutual, { KAFKA_CA_FILE: 'otherCa' }, 'KAFKA_UNTRUSTED'],
    ['no authority', mutual, { KAFKA_CA_FILE: '' }, 'KAFKA_UNTRUSTED'],
    ['another host than the certificate is of', mutual, { KAFKA_BROKERS: '127.0.0.1' }, 'KAFKA_UNTRUSTED'],
    [
      'no certificate where one is wanted',
      mutual,
      { KAFKA_CERT_FILE: '', KAFKA_KEY_FILE: '' },
      'KAFKA_FORBIDDEN',
    ],
    ['a wrong password', login('plain'), { KAFKA_PASSWORD: 'canary-wrong' }, 'KAFKA_FORBIDDEN'],
    ['a wrong password', login('scram-sha-512'), { KAFKA_PASSWORD: 'canary-wrong' }, 'KAFKA_FORBIDDEN'],
    [
      'a mechanism that is not offered',
      withoutTls,
      { KAFKA_SASL_MECHANISM: 'scram-sha-512' },
      'KAFKA_FORBIDDEN',
    ],
  ] as const)('%s is a stop, with a sentence', async ([, settings, more, code]) => {
    const changed: Record<string, string> = { ...more };
    if (changed['KAFKA_CA_FILE'] === 'otherCa') changed['KAFKA_CA_FILE'] = kafka.files.otherCa;
    if (changed['KAFKA_BROKERS'] !== undefined) {
      changed['KAFKA_BROKERS'] = kafka.mutual.replace('localhost', changed['KAFKA_BROKERS']);
    }
    const client = clientOf(settings, changed);
    const producer = createRecordProducer(client);
    const error: unknown = await producer.partitionCount(topic).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, action: 'stop' });
    expect(String(error)).not.toContain('canary');

    const consumer = createRecordConsumer(client, { topic, groupId: randomName('group') });
    const running = consumer.run({ onAssigned: () => {}, onBatch: async () => {} });
    await expect(running).rejects.toMatchObject({ code });
    await consumer.stop();
  });
});
