import { expect, inject, test } from 'vitest';
import { sleep } from '../../shared/lifecycle.ts';
import { expectDelivered } from '../helpers/invariants.ts';
import { startLoad } from '../helpers/load.ts';
import { createPipeline } from '../helpers/pipeline.ts';
import { settled } from '../helpers/settle.ts';

test('two writers, then four, then two, under load on eight partitions: nothing lost, nothing twice', async () => {
  await using pipeline = await createPipeline(
    {
      postgresAdminUrl: inject('postgresAdminUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
      sqsEndpoint: inject('sqsEndpoint'),
    },
    { partitions: 8 },
  );
  await pipeline.start('connector');
  const first = [await pipeline.start('writer'), await pipeline.start('writer')];
  const load = startLoad(pipeline.queue, { perSecond: 800, seed: 7 });
  await sleep(4_000);
  const second = [await pipeline.start('writer'), await pipeline.start('writer')];
  await sleep(6_000);
  const codes = await Promise.all(first.map((writer) => writer.kill('SIGTERM')));
  await sleep(4_000);
  await load.stop();
  await settled(pipeline);
  const outcome = await expectDelivered(pipeline, load.sent);
  expect(outcome.rows.size + outcome.dead.size).toBe(load.sent.size);
  expect(codes).toEqual([0, 0]);
  expect(second.map(({ ended }) => ended)).toEqual([undefined, undefined]);
});
