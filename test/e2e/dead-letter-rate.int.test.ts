import { randomUUID } from 'node:crypto';
import { expect, inject, test } from 'vitest';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { ledgerOf } from '../helpers/invariants.ts';
import { createPipeline, eventually, type Pipeline } from '../helpers/pipeline.ts';
import { testKafkaClient } from '../helpers/topics.ts';

/** So many records that become dead letters, on the one partition. */
async function putBad(pipeline: Pipeline, count: number): Promise<void> {
  const producer = createRecordProducer(testKafkaClient(pipeline.kafkaBrokers));
  const records = Array.from({ length: count }, () => ({
    key: Buffer.from(randomUUID()),
    value: Buffer.from('{"foo":1}'),
    timestampMs: Date.now(),
  }));
  const acks = await producer.send(pipeline.rawTopic, [{ partition: 0, records }]);
  await producer.close();
  expect(acks).toEqual([{ partition: 0, baseOffset: expect.any(BigInt) }]);
}

test('a supervisor that restarts the writer does not drain the topic into the dead letters', async () => {
  await using pipeline = await createPipeline(
    {
      postgresAdminUrl: inject('postgresAdminUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
      sqsEndpoint: inject('sqsEndpoint'),
    },
    { partitions: 1, env: { WRITER_DEAD_MIN_RECORDS: '50', WRITER_BATCH_RECORDS: '20' } },
  );
  await putBad(pipeline, 200);
  const dead: number[] = [];
  for (let start = 0; start < 2; start++) {
    const { code, stderr } = await pipeline.runWith({}, 'writer');
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/MESSAGE_SHAPE.*\[DEAD_LETTER_RATE\]$/);
    expect(code).toBe(1);
    dead.push((await ledgerOf(pipeline)).dead);
  }
  expect(dead[0]).toBeLessThan(50);
  expect(new Set(dead)).toEqual(new Set([dead[0]]));

  const open = await pipeline.start('writer', { WRITER_MAX_DEAD_RATIO: '1' });
  await eventually('all are let through', async () => (await ledgerOf(pipeline)).dead === 200);
  expect(await open.kill('SIGTERM')).toBe(0);
  const anew = await pipeline.start('writer');
  await putBad(pipeline, 30);
  await eventually('a new beginning', async () => (await ledgerOf(pipeline)).dead === 230);
  expect(await anew.kill('SIGTERM')).toBe(0);
});
