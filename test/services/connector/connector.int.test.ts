import { startFauxqs } from 'fauxqs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { runConnector, type ConnectorDeps } from '../../../services/connector/connector.ts';
import type { Counts } from '../../../services/connector/held.ts';
import { TransitSealer } from '../../../shared/crypto/transit.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { SqsQueue } from '../../../shared/sqs/sqs-queue.ts';
import { dayOf } from '../../../shared/time.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { createQueue, sendAll, testRegion, type TestQueue } from '../../helpers/queues.ts';
import { createTopic, readAll, testKafkaClient } from '../../helpers/topics.ts';
import { quiet } from './fixtures.ts';

beforeAll(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
});
afterAll(() => vi.unstubAllEnvs());

/** Runs until the queue is empty, then stops. */
async function runUntilEmpty(
  made: TestQueue,
  topic: string,
  options: Partial<ConnectorDeps> = {},
  meanwhile: () => Promise<void> = async () => {},
): Promise<Counts> {
  const { queueUrl, endpoint } = made;
  using queue = new SqsQueue({ queueUrl, endpoint, region: testRegion, receivers: 4 });
  const producer = createRecordProducer(testKafkaClient(inject('kafkaBrokers')));
  const stop = new AbortController();
  const running = runConnector(
    {
      queue,
      producer,
      sealer: undefined,
      log: quiet,
      clock: Date.now,
      topic,
      receivers: 4,
      lingerMs: 5,
      maxMessages: 10_000,
      maxBytes: 64 * 1_048_576,
      ...options,
    },
    { stop: stop.signal, force: new AbortController().signal },
  );
  const emptied = async () => {
    await meanwhile();
    for (;;) {
      const left = await queue.attributes();
      if (left.visible + left.inFlight + left.delayed === 0) return;
      await sleep(50);
    }
  };
  try {
    await Promise.race([emptied(), running]);
    stop.abort();
    return await running;
  } finally {
    await producer.close();
  }
}

describe('connector on real servers', () => {
  test('bodies of 1 byte to 1 MiB and attributes of every type arrive once, sealed to their identity', async () => {
    const made = await createQueue(inject('sqsEndpoint'));
    const topic = await createTopic(inject('kafkaBrokers'), { partitions: 4 });
    const vault = new FakeVault();
    await vault.ensureTransitKey(dayOf(Date.now()));
    const messages = [
      ...Array.from({ length: 250 }, (_, i) => ({ body: `{"n":${i},"ip":"203.0.113.${i}"}` })),
      { body: 'x' },
      // Sealed it does not compress: the topic has to take all of it.
      { body: 'é'.repeat(524_288) },
      {
        body: 'with attributes',
        attributes: {
          tenant: { DataType: 'String', StringValue: 'é' },
          price: { DataType: 'Number', StringValue: '12.50' },
          blob: { DataType: 'Binary', BinaryValue: Uint8Array.of(1, 0, 255) },
          traceparent: {
            DataType: 'String',
            StringValue: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
          },
        },
      },
    ];
    const ids = await sendAll(made, messages);

    const counts = await runUntilEmpty(made, topic, { sealer: new TransitSealer(vault) });

    expect(counts).toMatchObject({ received: 253, published: 253, deleted: 253, returned: 0, expired: 0 });
    const records = await readAll(inject('kafkaBrokers'), topic);
    const opener = new TransitSealer(vault);
    for (const day of new Set(records.map((record) => dayOf(record.timestampMs)))) await opener.prepare(day);
    const bodies = new Map(
      records.map(({ key, value, timestampMs }) => {
        const body = opener.open(value, { eventId: key.toString(), sentAtMs: timestampMs });
        return [key.toString(), body instanceof Buffer ? body.toString() : body];
      }),
    );
    expect(records).toHaveLength(253);
    ids.forEach((id, i) => expect(bodies.get(id) === messages[i]?.body, `body of message ${i}`).toBe(true));
    const withHeaders = records.filter((record) => Object.keys(record.headers).length > 0);
    expect(withHeaders.map((record) => [record.key.toString(), record.headers])).toEqual([
      [
        ids.at(-1),
        {
          'attr.tenant': Buffer.from('é'),
          'attr.price': Buffer.from('12.50'),
          'attr.blob': Buffer.from([1, 0, 255]),
          traceparent: Buffer.from('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
        },
      ],
    ]);
  });

  test('an empty queue: nothing happens, and stopping does not wait for the poll', async () => {
    const made = await createQueue(inject('sqsEndpoint'));
    const topic = await createTopic(inject('kafkaBrokers'), { partitions: 1 });
    expect(await runUntilEmpty(made, topic)).toMatchObject({ received: 0 });
    expect(await readAll(inject('kafkaBrokers'), topic)).toEqual([]);
  });

  test('FIFO: every group lies in one partition, in its order', async () => {
    const made = await createQueue(inject('sqsEndpoint'), { fifo: true });
    const topic = await createTopic(inject('kafkaBrokers'), { partitions: 4 });
    const messages = Array.from({ length: 200 }, (_, i) => ({ body: String(i), group: `group-${i % 7}` }));
    const ids = await sendAll(made, messages);
    await runUntilEmpty(made, topic);
    const records = await readAll(inject('kafkaBrokers'), topic);
    expect(records).toHaveLength(200);
    const byGroup = Map.groupBy(records, (record) => record.key.toString());
    expect(byGroup.size).toBe(7);
    for (const [group, of] of byGroup) {
      expect(new Set(of.map((record) => record.partition)).size).toBe(1);
      expect(of.map((record) => record.value.toString())).toEqual(
        messages.filter((message) => message.group === group).map((message) => message.body),
      );
      for (const record of of) {
        expect(record.headers['message-id']?.toString()).toBe(ids[Number(record.value.toString())]);
      }
    }
  });

  test('missing queue, missing topic: ends with the error that says so', async () => {
    const made = await createQueue(inject('sqsEndpoint'));
    const topic = await createTopic(inject('kafkaBrokers'), { partitions: 1 });
    await expect(runUntilEmpty(made, `${topic}-not`)).rejects.toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
    const nowhere = { ...made, queueUrl: `${made.endpoint}/000000000000/nobody-made-this` };
    await expect(runUntilEmpty(nowhere, topic)).rejects.toMatchObject({ code: 'SQS_QUEUE_MISSING' });
  });

  test('SQS goes away for a while under load: nothing is lost', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-test-sqs-'));
    let server = await startFauxqs({ host: '127.0.0.1', port: 0, logger: false, dataDir });
    try {
      const { port } = server;
      const made = await createQueue(`http://127.0.0.1:${port}`, { visibilityTimeout: 2 });
      const topic = await createTopic(inject('kafkaBrokers'), { partitions: 4 });
      const ids = await sendAll(
        made,
        Array.from({ length: 2_000 }, (_, i) => String(i)),
      );
      await runUntilEmpty(made, topic, {}, async () => {
        await sleep(150);
        await server.stop();
        await sleep(500);
        server = await startFauxqs({ host: '127.0.0.1', port, logger: false, dataDir });
      });
      const arrived = new Set((await readAll(inject('kafkaBrokers'), topic)).map((r) => r.key.toString()));
      expect(arrived).toEqual(new Set(ids));
    } finally {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
