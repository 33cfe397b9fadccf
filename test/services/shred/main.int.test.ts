import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { addDays, dayOf } from '../../../shared/time.ts';
import { openKeyKeeper, openPeppers } from '../../../shared/vault/open-vault.ts';
import { createPipeline, type Pipeline } from '../../helpers/pipeline.ts';
import { storeLogins } from '../recover/fixtures.ts';

const today = dayOf(Date.now());
const day = addDays(today, -2);
const why = ['--reason', 'asked for', '--ticket', 'PRIV-3'];

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await createPipeline({
    postgresAdminUrl: inject('postgresAdminUrl'),
    kafkaBrokers: inject('kafkaBrokers'),
    sqsEndpoint: inject('sqsEndpoint'),
  });
  const peppers = await openPeppers({ VAULT_URL: pipeline.env['VAULT_URL'] ?? '' });
  await storeLogins(pipeline.admin, peppers, [
    { day, userId: 'kim' },
    { day, userId: 'kim' },
    { day: addDays(day, 1), userId: 'kim' },
    { day: addDays(day, 1), userId: 'lee' },
  ]);
});
afterAll(() => pipeline[Symbol.asyncDispose]());

async function left(): Promise<unknown> {
  const { rows } = await pipeline.admin.execute(sql`
    select count(masked_ip)::integer as tokens, count(ip_sealed)::integer as sealed from user_logins`);
  return rows[0];
}

test('sluice keys, shred, recover and keys again, as an operator would', async () => {
  const before = await pipeline.run('keys');
  expect(before).toMatchObject({ code: 0, stderr: '' });
  expect(before.stdout).toMatch(
    new RegExp(`^${day} +live +${today} +day +until \\d{4}-\\d\\d-\\d\\d +1 `, 'm'),
  );

  const dry = await pipeline.run('shred', '--day', day, ...why, '--dry-run');
  expect(dry).toMatchObject({ code: 0, stderr: '' });
  expect(dry.stdout).toContain(`${day}, nothing was changed`);
  expect(dry.stdout).toContain('2 rows, 2 with tokens');
  expect(await left()).toEqual({ tokens: 4, sealed: 4 });

  const done = await pipeline.run('shred', '--day', day, ...why);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).toContain(`${day} is shredded: nothing opens its fields any more`);
  expect(done.stdout).toMatch(/order +1, \d{4}-.*Z, ticket PRIV-3/);
  expect(done.stdout).toContain(`until ${addDays(day, 14)}`);
  expect(await left()).toEqual({ tokens: 2, sealed: 4 });

  const again = await pipeline.run('shred', '--day', day, ...why, '--json');
  expect(again.code).toBe(0);
  expect(JSON.parse(again.stdout)).toMatchObject({ already: true, day, proof: { privateKeysLeft: 0 } });

  const opened = await pipeline.run('recover', '--user-id', 'kim', '--from', day, '--to', day, ...why);
  expect(opened.stdout + opened.stderr).toContain(`${day} was shredded on`);
  expect(opened.code).toBe(1);

  const after = await pipeline.run('keys', '--day', day, '--json');
  expect(after.code).toBe(0);
  expect(JSON.parse(after.stdout)).toMatchObject({
    problems: 0,
    days: [{ day, privateKey: 'none', ticket: 'PRIV-3', transitKey: true }],
  });
});

test('sluice shred --user-id says how much and never who', async () => {
  const done = await pipeline.run('shred', '--user-id', 'kim', ...why);
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(done.stdout).not.toContain('kim');
  expect(done.stdout).toContain('erased: 3 rows of 2 days, 0 left');
  expect(done.stdout).toMatch(
    /raw topic +what was sent before the order lies there until \d{4}-\d\d-\d\d at the latest/,
  );
  expect(await left()).toEqual({ tokens: 1, sealed: 3 });
});

test('sluice maintain names an order that was cut off, and sweeps the others', async () => {
  await pipeline.admin.execute(
    sql`insert into shreds (scope, user_id, reason, ticket) values ('user', 'pat', 'r', 'PRIV-4')`,
  );
  const run = await pipeline.run('maintain');
  expect(run.code).toBe(1);
  expect(run.stderr).toMatch(/"level":"error"[^\n]*"ticket":"PRIV-4"[^\n]*is not finished/);
  expect(run.stdout).toMatch(
    /order \d+ to shred a user or an epoch is not finished \(ticket PRIV-4\): run "sluice shred" again/,
  );
  expect(run.stdout).toContain(`vacuumed user_logins_${day.replaceAll('-', '')}`);
  expect(run.stdout + run.stderr).not.toContain('pat\n');
  const json = await pipeline.run('maintain', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    transitKeysDestroyed: [],
    shreds: { unfinished: [{ ticket: 'PRIV-4' }] },
  });
  await pipeline.admin.execute(
    sql`update shreds set finished_at = now(), proof = '{}'::jsonb where ticket = 'PRIV-4'`,
  );
  expect((await pipeline.run('maintain')).code).toBe(0);
});

test('sluice maintain destroys the transit key of a day that no topic can hold', async () => {
  const vault = { VAULT_URL: pipeline.env['VAULT_URL'] ?? '' };
  const [gone, there] = [addDays(today, -142), addDays(today, -139)];
  const keeper = await openKeyKeeper(vault);
  for (const of of [gone, there]) await keeper.ensureTransitKey(of);
  const run = await pipeline.run('maintain');
  expect(run).toMatchObject({ code: 0 });
  expect(run.stdout.match(/^destroyed the transit key of .*$/gm)).toEqual([
    `destroyed the transit key of ${gone}`,
  ]);
  expect((await keeper.transitDays())[0]).toBe(there);
});

test.for([
  ['nothing asked for', why, 'give one of --day, --user-id and --token-epoch'],
  ['two things', ['--day', day, '--user-id', 'kim', ...why], 'give one of'],
  ['no date', ['--day', '2026-02-30', ...why], '--day is not a date'],
  ['no number', ['--token-epoch', '0', ...why], '--token-epoch is not a number'],
  ['a day that is not over', ['--day', today, ...why], 'is not over yet'],
  ['no reason', ['--day', day, '--reason', ' ', '--ticket', 'T'], '--reason is empty'],
  ['no ticket', ['--day', day, '--reason', 'r'], 'required option'],
] as const)('wrong usage is exit code 2: %s', async ([, args, message]) => {
  const run = await pipeline.run('shred', ...args);
  expect(run.stderr).toContain(message);
  expect(run).toMatchObject({ code: 2, stdout: '' });
});

test('nothing to shred is exit code 1, in words and in JSON', async () => {
  expect(await pipeline.run('shred', '--day', '2020-01-01', ...why)).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'sluice: 2020-01-01 has no key: nothing was ever sealed to it\n',
  });
  expect(await pipeline.run('shred', '--token-epoch', '1', ...why, '--json')).toMatchObject({
    code: 1,
    stdout: '{"refused":"token epoch 1 is current: only a retired one can be shredded"}\n',
  });
});
