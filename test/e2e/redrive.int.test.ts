import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { ensureKeys } from '../../services/maintenance/ensure-keys.ts';
import { ensurePartitions } from '../../services/maintenance/ensure-partitions.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { partitionFor } from '../../shared/kafka/partitioner.ts';
import { dayOf, msPerDay } from '../../shared/time.ts';
import { openKeyKeeper, openTransitKeys } from '../../shared/vault/open-vault.ts';
import { ledgerOf } from '../helpers/invariants.ts';
import { createPipeline, eventually, type Pipeline } from '../helpers/pipeline.ts';
import { testKafkaClient } from '../helpers/topics.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
const login = {
  user_id: 'late',
  app_version: '2.3.0',
  device_type: 'android',
  ip: '198.51.100.7',
  locale: 'US',
  device_id: '000-00-0001',
};

/** What `sluice dlq … --json` prints. */
async function dlq(pipeline: Pipeline, ...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await pipeline.run('dlq', ...args, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const parsed: unknown = JSON.parse(stdout);
  if (typeof parsed !== 'object' || parsed === null) throw new Error('no object');
  return { ...parsed };
}

const rowsOf = async (pipeline: Pipeline) =>
  (
    await pipeline.admin.execute<{ event_id: string; day: string; sent: string; user_id: string }>(
      sql`select event_id, create_date::text as day, (extract(epoch from sent_at) * 1000)::bigint::text as sent, user_id from user_logins`,
    )
  ).rows;

test('a record of a day that was not there becomes the row it would have been, once the day is', async () => {
  await using pipeline = await createPipeline(servers, { partitions: 2 });
  const sentAtMs = Date.now() - 40 * msPerDay;
  const day = dayOf(sentAtMs);
  const eventId = randomUUID();
  const vault = { VAULT_URL: pipeline.env['VAULT_URL'] ?? '' };
  const keeper = await openKeyKeeper(vault);
  await keeper.ensureTransitKey(day);
  const sealer = new TransitSealer(await openTransitKeys(vault));
  await sealer.prepare(day);
  const value = sealer.seal(Buffer.from(JSON.stringify(login)), { eventId, sentAtMs });
  if (value === undefined) throw new Error('not sealed');
  const record = { key: Buffer.from(eventId), value, timestampMs: sentAtMs };
  const producer = createRecordProducer(testKafkaClient(servers.kafkaBrokers));
  await producer.send(pipeline.rawTopic, [{ partition: partitionFor(record.key, 2), records: [record] }]);
  await producer.close();

  await pipeline.start('writer');
  await eventually('a dead letter', async () => (await ledgerOf(pipeline)).dead === 1);
  expect(await dlq(pipeline, 'list')).toMatchObject({
    open: 1,
    counts: [{ code: 'PARTITION_ARCHIVED', day, open: 1 }],
    entries: [{ eventId, attempts: 1, sentAt: new Date(sentAtMs).toISOString() }],
  });

  // Too early: it fails again, and is there once more.
  expect(await dlq(pipeline, 'redrive')).toMatchObject({ redriven: 1 });
  await eventually('the same dead letter', async () => (await ledgerOf(pipeline)).dead === 2);
  const again = await dlq(pipeline, 'list', '--all');
  expect(again).toMatchObject({ open: 1, redriven: 1 });
  expect(again['entries']).toMatchObject([{ attempts: 1 }, { attempts: 2, eventId }]);

  await ensurePartitions(pipeline.admin, 'user_logins', [day]);
  await ensureKeys(pipeline.admin, keeper, [day]);
  expect(await dlq(pipeline, 'redrive', '--code', 'PARTITION_ARCHIVED', '--dry-run')).toMatchObject({
    redriven: 1,
  });
  expect(await dlq(pipeline, 'redrive', '--code', 'PARTITION_ARCHIVED')).toMatchObject({ redriven: 1 });
  await eventually('a row', async () => (await rowsOf(pipeline)).length > 0);
  const row = { event_id: eventId, day, sent: String(sentAtMs), user_id: 'late' };
  expect(await rowsOf(pipeline)).toEqual([row]);

  expect(await dlq(pipeline, 'redrive')).toMatchObject({ redriven: 0, alreadyRedriven: 2 });
  expect(await dlq(pipeline, 'redrive', '--again')).toMatchObject({ redriven: 2 });
  await eventually('duplicates', async () => (await ledgerOf(pipeline)).duplicate === 2);
  expect(await rowsOf(pipeline)).toEqual([row]);
  expect(await dlq(pipeline, 'list')).toMatchObject({ open: 0, redriven: 2 });
  expect(await pipeline.run('verify', '--complete')).toMatchObject({ code: 0 });
});

test('a bad deploy ends the writer before it drains the topic, and nothing is lost', async () => {
  await using pipeline = await createPipeline(servers, {
    partitions: 2,
    env: { WRITER_DEAD_MIN_RECORDS: '100', WRITER_BATCH_RECORDS: '200' },
  });
  const producer = createRecordProducer(testKafkaClient(servers.kafkaBrokers));
  const ids = Array.from({ length: 600 }, () => randomUUID());
  const records = ids.map((id) => ({
    key: Buffer.from(id),
    value: Buffer.from('{"another":"shape"}'),
    timestampMs: Date.now(),
  }));
  await producer.send(pipeline.rawTopic, [{ partition: 0, records }]);
  await producer.close();
  const broken = await pipeline.start('writer', { WRITER_LINGER_MS: '2000' });
  await eventually('the writer has ended', () => broken.ended !== undefined);
  expect(broken.ended).toBe(1);
  expect(await pipeline.logs()).toMatch(
    /sluice: [\d,]+ of the last [\d,]+ records are dead letters \(.* allowed are 20 %\), most of these MESSAGE_SHAPE.*"sluice dlq list".*\[DEAD_LETTER_RATE\]/,
  );
  expect(await dlq(pipeline, 'list')).toMatchObject({ open: 0 });
  expect(await ledgerOf(pipeline)).toMatchObject({ read: 0 });

  await pipeline.start('writer', { WRITER_MAX_DEAD_RATIO: '1' });
  await eventually('all are dead letters', async () => (await ledgerOf(pipeline)).dead === 600);
  expect(await dlq(pipeline, 'list')).toMatchObject({ open: 600 });
  expect(await pipeline.run('verify', '--complete')).toMatchObject({ code: 0 });
});
