import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { describe, expect, inject, test } from 'vitest';
import { hostileInputs } from '../../services/demo/hostile-inputs.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { partitionFor } from '../../shared/kafka/partitioner.ts';
import { expectDelivered, ledgerOf } from '../helpers/invariants.ts';
import { createPipeline, eventually } from '../helpers/pipeline.ts';
import { sendAll } from '../helpers/queues.ts';
import { testKafkaClient } from '../helpers/topics.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};

describe('hostile input through the whole pipeline', () => {
  test('each becomes what it must, and its neighbours are rows', async () => {
    await using pipeline = await createPipeline(servers, { partitions: 4 });
    await pipeline.start('connector');
    await pipeline.start('writer');

    const inputs = hostileInputs();
    const throughSqs = inputs.filter(({ notThroughSqs }) => notThroughSqs !== true);
    const neighbour = JSON.stringify({
      user_id: 'neighbour',
      app_version: '1.0',
      device_type: 'iOS',
      ip: '10.0.0.1',
      device_id: 'd',
    });
    const bodies = throughSqs.flatMap(({ body }) => [neighbour, body.toString('utf8')]);
    const ids = await sendAll(pipeline.queue, bodies);
    const expected = new Map(
      ids.map((id, i) => [id, i % 2 === 0 ? 'row' : throughSqs[(i - 1) / 2]?.becomes]),
    );

    const producer = createRecordProducer(testKafkaClient(servers.kafkaBrokers));
    for (const { body, becomes } of inputs.filter(({ notThroughSqs }) => notThroughSqs === true)) {
      const id = randomUUID();
      expected.set(id, becomes);
      const record = { key: Buffer.from(id), value: body, timestampMs: Date.now() };
      const [ack] = await producer.send(pipeline.rawTopic, [
        { partition: partitionFor(record.key, 4), records: [record] },
      ]);
      expect(ack).toHaveProperty('baseOffset');
    }
    await producer.close();

    await eventually('everything read', async () => (await ledgerOf(pipeline)).read >= expected.size);
    const outcome = await expectDelivered(pipeline, new Set(expected.keys()));
    const became = new Map(
      [...expected.keys()].map((id) => [id, outcome.rows.has(id) ? 'row' : outcome.dead.get(id)?.join()]),
    );
    expect(became).toEqual(expected);

    const { rows } = await pipeline.admin.execute<{ tokens: number; extra: number; evil: number }>(sql`
      select count(distinct masked_ip) filter (where user_id like 'ipv6-%')::integer as tokens,
        (select sum(unknown_fields)::integer from ledger) as extra,
        count(*) filter (where user_id = 'other')::integer as evil
      from user_logins`);
    // __proto__, the padding of the 1 MiB body, and the unknown fields: three records carried some.
    expect(rows).toEqual([{ tokens: 1, extra: 3, evil: 0 }]);
  });

  test('the same message delivered again, also under another assignment and across midnight, is one row', async () => {
    await using pipeline = await createPipeline(servers, { partitions: 2 });
    const body = (user: string) =>
      Buffer.from(
        JSON.stringify({
          user_id: user,
          app_version: '1.0',
          device_type: 'iOS',
          ip: '10.0.0.1',
          device_id: 'd',
        }),
      );
    const midnight = new Date().setUTCHours(0, 0, 0, 0);
    const events = [midnight - 1, midnight, midnight + 1].map((timestampMs) => ({
      id: randomUUID(),
      timestampMs,
    }));
    const producer = createRecordProducer(testKafkaClient(servers.kafkaBrokers));
    const deliver = async () => {
      for (const { id, timestampMs } of events) {
        const record = { key: Buffer.from(id), value: body(id), timestampMs };
        await producer.send(pipeline.rawTopic, [
          { partition: partitionFor(record.key, 2), records: [record] },
        ]);
      }
    };
    await deliver();
    const first = await pipeline.start('writer');
    await eventually('first delivery', async () => (await ledgerOf(pipeline)).inserted === 3);
    await deliver();
    await eventually('second delivery', async () => (await ledgerOf(pipeline)).read === 6);
    // Another owner, then all of it again.
    await first.kill('SIGKILL');
    await pipeline.start('writer');
    await deliver();
    await producer.close();
    await eventually('third delivery', async () => (await ledgerOf(pipeline)).read >= 9);
    await expectDelivered(pipeline, new Set(events.map(({ id }) => id)));
    const { rows } = await pipeline.admin.execute<{ days: string }>(
      sql`select string_agg(distinct create_date::text, ' ') as days from user_logins`,
    );
    const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);
    expect(rows[0]?.days).toBe(`${day(midnight - 1)} ${day(midnight)}`);
  });
});
