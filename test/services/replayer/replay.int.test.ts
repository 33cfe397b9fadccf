import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { sleep } from '../../../shared/lifecycle.ts';
import type { Day } from '../../../shared/time.ts';
import { eventually, type Pipeline } from '../../helpers/pipeline.ts';
import {
  deleteDay,
  liveState,
  objectOf,
  ofDay,
  openedRows,
  planned,
  ran,
  writtenPipeline,
} from './fixtures.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};

let pipeline: Pipeline & { readonly days: readonly Day[] };
beforeAll(async () => {
  pipeline = await writtenPipeline(servers, 3_000);
});
afterAll(() => pipeline[Symbol.asyncDispose]());

const day = (back: number): Day => pipeline.days[back] ?? '';

async function count(table: string): Promise<number> {
  const { rows } = await pipeline.admin.execute<{ n: number }>(
    sql`select count(*)::integer as n from ${sql.identifier(table)}`,
  );
  return rows[0]?.n ?? Number.NaN;
}

describe('a day that was lost', () => {
  test('comes back equal by its time, beside the live writers; the same again inserts nothing, and verify tells what is missing', async () => {
    const before = await openedRows(pipeline);
    const live = await liveState(pipeline);
    const deleted = await deleteDay(pipeline, day(1));
    expect(deleted).toBeGreaterThan(900);

    const file = join(pipeline.directory, 'plan.json');
    const { from, to } = ofDay(day(1));
    const plan = await pipeline.run(
      'replay',
      'plan',
      '--from',
      from,
      '--to',
      to,
      '--name',
      'lost',
      '--output',
      file,
    );
    expect(plan).toMatchObject({ code: 0, stderr: '' });
    expect(plan.stdout).toMatch(new RegExp(`${day(1)} +open +1,000 +0\\n`));
    expect(await count('replay_jobs')).toBe(0);

    const run = await pipeline.run('replay', 'run', '--plan', file, '--json');
    expect(run).toMatchObject({ code: 0 });
    const report = objectOf(run.stdout);
    expect(report).toMatchObject({ inserted: deleted, duplicate: 0, dead: 1_000 - deleted, missed: 0 });
    expect(report).toMatchObject({ checksum: { rows: deleted }, problems: [] });
    expect(await openedRows(pipeline)).toEqual(before);
    expect(await liveState(pipeline)).toEqual(live);
    expect(await count('ledger')).toBeGreaterThan(0);

    const again = await pipeline.run('replay', 'run', '--plan', file);
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`${deleted} inserted + 0 duplicate`),
    });
    const other = await planned(pipeline, ofDay(day(1)));
    expect(await ran(pipeline, other.plan)).toMatchObject({ inserted: 0, duplicate: deleted });

    expect(await pipeline.run('replay', 'verify', 'lost')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^proven/),
    });
    await pipeline.admin.execute(sql`delete from user_logins where (create_date, event_id) in (
      select create_date, event_id from user_logins where create_date = ${day(1)} limit 1)`);
    expect(await pipeline.run('replay', 'verify', 'lost')).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/rows were stored, and \d+ are there/),
    });
    const third = await planned(pipeline, ofDay(day(1)));
    expect(await ran(pipeline, third.plan)).toMatchObject({ inserted: 1, duplicate: deleted - 1 });
    expect(await openedRows(pipeline)).toEqual(before);
  });
});

test('a shadow is filled with every row of a day, and is what the live table is; another day is refused', async () => {
  const made = await pipeline.run('replay', 'shadow', '--job', 'aside', '--from', day(2), '--json');
  expect(made).toMatchObject({ code: 0 });
  const { plan } = await planned(pipeline, { ...ofDay(day(2)), name: 'aside', target: 'shadow' });
  const stored = await count(`user_logins_${day(2).replaceAll('-', '')}`);
  expect(await ran(pipeline, plan)).toMatchObject({
    inserted: stored,
    duplicate: 0,
    checksum: { rows: stored },
  });
  expect(await count('user_logins_shadow_aside')).toBe(stored);
  expect(await pipeline.run('replay', 'diff', '--job', 'aside')).toMatchObject({ code: 0 });
  const other = await planned(pipeline, { ...ofDay(day(1)), name: 'none', target: 'shadow' });
  await expect(ran(pipeline, other.plan)).rejects.toThrow('there is no user_logins_shadow_none');
  await expect(ran(pipeline, { ...other.plan, job: 'aside' })).rejects.toThrow(`has no ${day(1)}`);
});

describe('a plan', () => {
  test('of a dry run stores nothing; of offsets, users, events and dead letters, what they name', async () => {
    const before = await openedRows(pipeline);
    const deleted = await deleteDay(pipeline, day(2));
    const keys = await count('data_keys');
    const dry = await planned(pipeline, { ...ofDay(day(2)), target: 'dry-run' });
    expect(await ran(pipeline, dry.plan)).toMatchObject({
      inserted: deleted,
      duplicate: 0,
      dead: 1_000 - deleted,
    });
    expect(await count('user_logins')).toBe(before.size - deleted);
    expect(await count('data_keys')).toBe(keys);

    const [key = '', row = ''] = [...before].find(([key]) => key.startsWith(day(2))) ?? [];
    const one = await planned(pipeline, { eventId: [key.slice(11)] });
    expect(one.plan.ranges).toHaveLength(1);
    expect(await ran(pipeline, one.plan)).toMatchObject({ read: 1, inserted: 1, filtered: 0 });

    const userId = row.split('|')[1] ?? '';
    const users = await planned(pipeline, { ...ofDay(day(2)), userId: [userId] });
    const ofUser = [...before].filter(([key, row]) => key.startsWith(day(2)) && row.includes(`|${userId}|`));
    expect(await ran(pipeline, users.plan)).toMatchObject({ inserted: ofUser.length - 1, duplicate: 1 });

    const range = await planned(pipeline, { offsets: '1:10-19,1:15-29,2:0' });
    expect(range.plan.ranges).toEqual([
      { partition: 1, from: '10', to: '30' },
      { partition: 2, from: '0', to: '1' },
    ]);
    expect(await ran(pipeline, range.plan)).toMatchObject({ read: 21, filtered: 0 });

    const dead = await planned(pipeline, { source: 'dead', code: ['MESSAGE_SHAPE'] });
    expect(await ran(pipeline, dead.plan)).toMatchObject({ read: 30, dead: 30, inserted: 0 });
    const status = await pipeline.run('replay', 'status', dead.plan.job, '--dead', '1', '--json');
    const deadRecords = [expect.objectContaining({ code: 'MESSAGE_SHAPE', stage: 'parse' })];
    expect(objectOf(status.stdout)).toMatchObject({ state: 'done', deadRecords });

    const rest = await planned(pipeline, { ...ofDay(day(2)), concurrency: 1 });
    await ran(pipeline, rest.plan);
    expect(await openedRows(pipeline)).toEqual(before);
  });

  test('that was changed, that asks for what is not there, or for days that are gone, is refused with a sentence', async () => {
    const kept = await planned(pipeline, { offsets: '0:0-9', name: 'kept' });
    await ran(pipeline, kept.plan);
    const other = await planned(pipeline, { offsets: '0:0-8', name: 'kept' });
    await expect(ran(pipeline, other.plan)).rejects.toThrow(
      'there is a replay of that name with another plan',
    );
    await expect(ran(pipeline, { ...other.plan, job: 'newer', transform: 2 })).rejects.toThrow('transform 2');
    await expect(planned(pipeline, { offsets: '0:0-999999' })).rejects.toThrow('ends at offset');
    await expect(planned(pipeline, { offsets: '9:0' })).rejects.toThrow('has no partition 9');
    await expect(planned(pipeline, { code: ['FIELD_TYPE'] })).rejects.toThrow(
      '--code goes with --source dead',
    );
    await expect(planned(pipeline, { from: 'yesterday' })).rejects.toThrow('--from takes');
    await expect(planned(pipeline, { source: 'archive' })).rejects.toThrow('sluice restore');
    expect(await planned(pipeline, { eventId: [randomUUID()] })).toMatchObject({
      records: 0,
      plan: { ranges: [] },
    });
    expect((await pipeline.run('replay', 'pause', 'kept')).stderr).toContain('the replay is done');

    const later = await planned(pipeline, ofDay(day(0)));
    await pipeline.admin.execute(sql`update day_keys set destroyed_at = now() where day = ${day(0)}`);
    await expect(planned(pipeline, ofDay(day(0)))).rejects.toThrow(/has been shredded/);
    await expect(ran(pipeline, later.plan)).rejects.toThrow(`${day(0)} is shredded`);
    const accepted = await planned(pipeline, { ...ofDay(day(0)), acceptDead: true });
    expect(await ran(pipeline, accepted.plan)).toMatchObject({ inserted: 0, dead: 1_000 });
  });
});

test('a job keeps its rate, is paused, goes on, and is cancelled for good', async () => {
  const { file } = await planned(pipeline, { ...ofDay(day(1)), name: 'slow', rate: 100, target: 'dry-run' });
  const process = await pipeline.start('replay', {}, ['run', '--plan', file]);
  const read = async () => {
    const { rows } = await pipeline.admin.execute<{ n: number; seconds: number }>(
      sql`select coalesce(sum(read), 0)::integer as n, extract(epoch from max(written_at) - min(written_at))::float8 as seconds
        from replay_ledger where job = 'slow'`,
    );
    return rows[0] ?? { n: 0, seconds: 0 };
  };
  await eventually('it has begun', async () => (await read()).n > 200);
  const { n, seconds } = await read();
  // A batch of each of three partitions is let through at once.
  expect(n).toBeLessThan(100 * seconds + 400);
  expect(await pipeline.run('replay', 'pause', 'slow')).toMatchObject({ code: 0 });
  // What was under way is finished. At its rate, none that goes on stands still so long.
  let paused = -1;
  for (let now = (await read()).n; now !== paused; now = (await read()).n) {
    paused = now;
    await sleep(1_500);
  }
  const status = await pipeline.run('replay', 'status', 'slow', '--json');
  expect(objectOf(status.stdout)).toMatchObject({
    state: 'paused',
    read: paused,
    workers: [{ perSecond: 100 }],
  });
  expect(await pipeline.run('replay', 'resume', 'slow', '--detach')).toMatchObject({ code: 0 });
  await eventually('it goes on', async () => (await read()).n > paused);
  expect(await pipeline.run('replay', 'cancel', 'slow')).toMatchObject({ code: 0 });
  await eventually('it has ended', () => process.ended !== undefined);
  expect(process.ended).toBe(1);
  expect((await pipeline.run('replay', 'resume', 'slow')).stderr).toContain('was cancelled');
});
