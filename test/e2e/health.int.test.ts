import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, inject, test } from 'vitest';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { ledgerOf } from '../helpers/invariants.ts';
import { createPipeline, eventually } from '../helpers/pipeline.ts';
import type { ServiceProcess } from '../helpers/service-process.ts';
import { TcpProxy } from '../helpers/tcp-proxy.ts';
import { testKafkaClient } from '../helpers/topics.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};

/** What a process answers on the port that it says it listens on. */
async function probe(service: ServiceProcess, path: '/livez' | '/readyz') {
  let port: string | undefined;
  await eventually('it says where', async () => {
    port = /"port":(\d+),"msg":"health"/.exec(await readFile(service.logFile, 'utf8'))?.[1];
    return port !== undefined;
  });
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  const text = await response.text();
  const body: unknown = JSON.parse(text);
  return { status: response.status, body, text };
}

const becomes = (service: ServiceProcess, status: number) =>
  eventually(
    `ready answers ${status}`,
    async () => (await probe(service, '/readyz')).status === status,
    40_000,
  );

describe('a service that waits is live and not ready', () => {
  test('the writer, for a Postgres that is not there yet, or not any more', async () => {
    await using pipeline = await createPipeline(servers, { partitions: 1 });
    const url = new URL(pipeline.env['DATABASE_URL'] ?? '');
    await using proxy = await TcpProxy.open({ targetPort: Number(url.port) });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    await proxy.refuse();
    const writer = await pipeline.start('writer', { DATABASE_URL: url.href, HEALTH_PORT: '0' });
    await becomes(writer, 503);
    await eventually('it waits for Postgres', async () =>
      (await probe(writer, '/readyz')).text.includes('DATABASE_UNAVAILABLE'),
    );
    const starting = await probe(writer, '/readyz');
    expect(starting.body).toMatchObject({
      service: 'writer',
      status: 'starting',
      dependencies: expect.arrayContaining([expect.objectContaining({ name: 'postgres', state: 'down' })]),
    });
    expect(starting.text).not.toMatch(/postgres:\/\/|127\.0\.0\.1|test-writer/);
    expect(await probe(writer, '/livez')).toMatchObject({ status: 200 });
    await proxy.heal();
    await becomes(writer, 200);

    // Nothing comes, and all the same it is told.
    await proxy.refuse();
    proxy.cut();
    await becomes(writer, 503);
    await proxy.heal();
    await becomes(writer, 200);

    await proxy.refuse();
    proxy.cut();
    const producer = createRecordProducer(testKafkaClient(servers.kafkaBrokers));
    const record = { key: Buffer.from(randomUUID()), value: Buffer.from('{}'), timestampMs: Date.now() };
    await producer.send(pipeline.rawTopic, [{ partition: 0, records: [record] }]);
    await producer.close();
    await becomes(writer, 503);
    expect(await probe(writer, '/livez')).toMatchObject({ status: 200 });
    await proxy.heal();
    await becomes(writer, 200);
    await eventually('the record is dealt with', async () => (await ledgerOf(pipeline)).dead === 1);
    expect(await writer.kill('SIGTERM')).toBe(0);
  });

  test('the connector, for SQS, and for Kafka though nothing comes', async () => {
    await using pipeline = await createPipeline(servers, { partitions: 1 });
    await using proxy = await TcpProxy.open({ targetPort: Number(new URL(servers.sqsEndpoint).port) });
    await using kafka = await TcpProxy.open({ targetPort: Number(servers.kafkaBrokers.split(':')[1]) });
    const connector = await pipeline.start('connector', {
      AWS_ENDPOINT_URL_SQS: `http://127.0.0.1:${proxy.port}`,
      KAFKA_BROKERS: `127.0.0.1:${kafka.port}`,
      HEALTH_PORT: '0',
    });
    await becomes(connector, 200);
    await proxy.refuse();
    proxy.cut();
    await becomes(connector, 503);
    const { body } = await probe(connector, '/readyz');
    expect(body).toMatchObject({
      status: 'waiting',
      dependencies: expect.arrayContaining([
        expect.objectContaining({ name: 'sqs receive', state: 'down', code: 'SQS_UNAVAILABLE' }),
      ]),
    });
    expect(await probe(connector, '/livez')).toMatchObject({ status: 200 });
    await proxy.heal();
    await becomes(connector, 200);

    await kafka.refuse();
    kafka.cut();
    await becomes(connector, 503);
    expect((await probe(connector, '/readyz')).text).toContain('KAFKA_UNAVAILABLE');
    await kafka.heal();
    await becomes(connector, 200);
    expect(await connector.kill('SIGTERM')).toBe(0);
  });
});
