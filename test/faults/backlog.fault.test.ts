import { expect, inject, test } from 'vitest';
import { connectorMemory, writerMemory } from './backlog.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};

// The soak does the same with 1,000,000 records and 200,000 messages.
test('a backlog of 300,000 records: the writer stays under 256 MiB', async () => {
  expect(await writerMemory(servers, 300_000)).toBeLessThan(256);
});

test('30,000 messages waiting: the connector stays under 200 MiB', async () => {
  expect(await connectorMemory(servers, 30_000)).toBeLessThan(200);
});
