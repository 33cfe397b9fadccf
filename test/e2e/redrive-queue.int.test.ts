import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { sleep } from '../../shared/lifecycle.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import { createPipeline, eventually } from '../helpers/pipeline.ts';
import { messagesIn, sendAll, testSqsClient } from '../helpers/queues.ts';
import { readAll } from '../helpers/topics.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
const login = (user: string) =>
  JSON.stringify({
    user_id: user,
    app_version: '2.3.0',
    device_type: 'android',
    ip: '198.51.100.7',
    locale: 'US',
    device_id: '000-00-0001',
  });

test(
  'what SQS has given up becomes the rows it would have been, and is off the dead-letter queue',
  {
    timeout: 180_000,
  },
  async () => {
    await using pipeline = await createPipeline(servers, {
      partitions: 2,
      queue: { visibilityTimeout: 1, redrive: { maxReceiveCount: 1 } },
    });
    const { queue } = pipeline;
    if (queue.deadLetterUrl === undefined) throw new Error('no dead-letter queue');
    const dead = { endpoint: queue.endpoint, queueUrl: queue.deadLetterUrl };
    const ids = await sendAll(
      queue,
      Array.from({ length: 25 }, (_, i) => login(`user-${i}`)),
    );
    const sqs = testSqsClient(queue.endpoint);
    // Receiving without deleting, as a consumer that fails does.
    await eventually('all are on the dead-letter queue', async () => {
      await sqs.send(new ReceiveMessageCommand({ QueueUrl: queue.queueUrl, MaxNumberOfMessages: 10 }));
      return (await messagesIn(dead)) === 25;
    });
    sqs.destroy();

    const env = { SQS_DEAD_LETTER_QUEUE_URL: queue.deadLetterUrl };
    const dlq = async (...args: string[]) => {
      const { code, stdout, stderr } = await pipeline.runWith(env, 'dlq', ...args, '--json');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const parsed: unknown = JSON.parse(stdout);
      return parsed;
    };
    expect(await dlq('list', '--queue', '--limit', '100')).toMatchObject({ waiting: 25, sampled: 25 });
    expect(await dlq('show', ids[3] ?? '', '--queue')).toMatchObject({ eventId: ids[3], attributes: {} });
    expect(await dlq('redrive', '--queue', '--dry-run')).toMatchObject({ sampled: 25 });
    expect(await messagesIn(dead)).toBe(25);
    await sleep(1_000);

    const [one, ...others] = ids;
    expect(await dlq('redrive', '--queue', '--event-id', one ?? '')).toEqual({
      published: 1,
      deleted: 1,
      unsealable: 0,
      unfinished: false,
    });
    expect(await messagesIn(dead)).toBe(24);
    expect(await dlq('redrive', '--queue', '--rate', '100')).toMatchObject({ published: 24, deleted: 24 });
    expect(await messagesIn(dead)).toBe(0);
    const raw = await readAll(servers.kafkaBrokers, pipeline.rawTopic);
    expect(new Set(raw.map((record) => identityOf(record)?.eventId))).toEqual(new Set([one, ...others]));
    expect(raw).toHaveLength(25);

    await pipeline.start('writer');
    await eventually('rows', async () => {
      const { rows } = await pipeline.admin.execute<{ n: number }>(
        sql`select count(*)::integer as n from user_logins`,
      );
      return rows[0]?.n === 25;
    });
  },
);

test('without a queue, with a filter it cannot mean, and on a FIFO queue it says what is wrong', async () => {
  await using pipeline = await createPipeline(servers, { partitions: 1, queue: { fifo: true } });
  const url = pipeline.queue.queueUrl;
  const fails = async (env: Record<string, string>, ...args: string[]) => {
    const { code, stderr, stdout } = await pipeline.runWith(env, 'dlq', ...args);
    expect([code, stdout]).toEqual([2, '']);
    return stderr;
  };
  expect(await fails({}, 'list', '--queue')).toContain('SQS_DEAD_LETTER_QUEUE_URL is not set');
  expect(await fails({}, 'redrive', '--queue')).toContain('SQS_DEAD_LETTER_QUEUE_URL is not set');
  const env = { SQS_DEAD_LETTER_QUEUE_URL: url };
  expect(await fails(env, 'list', '--queue', '--code', 'FIELD_TYPE')).toContain('filter by --from, --to');
  expect(await fails(env, 'redrive', '--queue', '--again')).toContain('--again');
  expect(await fails(env, 'redrive', '--queue')).toContain('--accept-new-time');
});
