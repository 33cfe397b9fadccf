import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { eventually } from '../../helpers/pipeline.ts';
import { deleteDay, ofDay, openedRows, planned, ran, writtenPipeline } from './fixtures.ts';

test('two processes share a job, each is killed five times on the way, and the table and the counts are what they would have been', async () => {
  await using pipeline = await writtenPipeline(
    {
      postgresAdminUrl: inject('postgresAdminUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
      sqsEndpoint: inject('sqsEndpoint'),
    },
    3_000,
  );
  const day = pipeline.days[1] ?? '';
  const before = await openedRows(pipeline);
  const deleted = await deleteDay(pipeline, day);
  // So slow that it is not done before the tenth kill: batches of 50, two a second.
  const { file, plan } = await planned(pipeline, { ...ofDay(day), rate: 100, concurrency: 1 });
  const start = () => pipeline.start('replay', {}, ['run', '--plan', file]);
  const entriesOf = async (pid: number) => {
    const { rows } = await pipeline.admin.execute<{ n: number }>(
      sql`select count(*)::integer as n from replay_ledger where job = ${plan.job} and written_by like ${`%:${pid}`}`,
    );
    return rows[0]?.n ?? 0;
  };
  const processes = [await start(), await start()];
  for (let kill = 0; kill < 10; kill += 1) {
    const victim = processes.shift();
    if (victim === undefined) throw new Error('nobody is at work');
    await eventually('it has written something', async () => (await entriesOf(victim.pid)) > 0);
    expect(victim.ended).toBeUndefined();
    await victim.kill('SIGKILL');
    processes.push(await start());
  }
  // Those that are left, and more, so that it ends sooner.
  processes.push(await start());
  const report = await ran(pipeline, plan);
  expect(report).toMatchObject({ inserted: deleted, duplicate: 0, dead: 1_000 - deleted, missed: 0 });
  expect(await openedRows(pipeline)).toEqual(before);
  await eventually('all have ended', () => processes.every(({ ended }) => ended !== undefined));
  expect(processes.map(({ ended }) => ended)).toEqual([0, 0, 0]);
  const { rows } = await pipeline.admin.execute<{ writers: number }>(
    sql`select count(distinct written_by)::integer as writers from replay_ledger where job = ${plan.job}`,
  );
  expect(rows[0]?.writers).toBeGreaterThan(10);
}, 150_000);
