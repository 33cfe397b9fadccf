import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { clean } from '../../../services/replayer/clean.ts';
import { diff } from '../../../services/replayer/diff.ts';
import { listShadowTables, makeShadow } from '../../../services/replayer/shadow.ts';
import { swap } from '../../../services/replayer/swap.ts';
import { addDays } from '../../../shared/time.ts';
import { Backfill, job, loginRows, today, yesterday } from '../../db/shadow/fixtures.ts';

const script = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));

let backfill: Backfill;
let env: Record<string, string>;
beforeEach(async () => {
  backfill = await Backfill.create(inject('postgresAdminUrl'));
  const { admin, operator } = backfill.database.urls;
  env = { ADMIN_DATABASE_URL: admin, OPERATOR_DATABASE_URL: operator };
});
afterEach(() => backfill[Symbol.asyncDispose]());

/** What a command prints and its exit code. */
async function run(
  command: (port: { env: Record<string, string>; stdout: PassThrough }) => Promise<number>,
): Promise<{ code: number; out: string }> {
  const stdout = new PassThrough();
  const out = text(stdout);
  const code = await command({ env, stdout }).finally(() => stdout.end());
  return { code, out: await out };
}

const options = { job, examples: 2, maxWait: 500 };

describe('diff', () => {
  test('the same on both sides: exit code 0, whatever is sealed anew', async () => {
    const name = await backfill.filled(50, [yesterday]);
    await backfill.admin.execute(sql`update ${sql.identifier(name)} set app_version = app_version - 1`);
    const { code, out } = await run((port) => diff(options, port));
    expect(out).toContain('the same\n');
    expect(out).toContain(
      'not compared: ip_sealed, masked_ip_prior, device_id_sealed, masked_device_id_prior, dek_id, ingested_at',
    );
    expect(code).toBe(0);
  });

  test('names days, columns and events, and no value of any row', async () => {
    const name = await backfill.filled(40);
    const shadow = sql.identifier(name);
    const event = async (condition = sql`true`) => {
      const { rows } = await backfill.admin.execute<{ id: string }>(
        sql`select event_id as id from user_logins where create_date = ${yesterday} and ${condition} order by event_id limit 1`,
      );
      return rows[0]?.id ?? '';
    };
    const missing = await event();
    await backfill.admin.execute(sql`delete from ${shadow} where event_id = ${missing}`);
    const second = await event(sql`event_id > ${missing}`);
    await backfill.admin.execute(
      sql`update ${shadow} set masked_ip = 't1:other', user_id = 'nobody', locale = 'xx' where event_id = ${second}`,
    );
    const third = await event(sql`event_id > ${second}`);
    await backfill.admin.execute(
      sql`update ${shadow} set masked_ip = 't2:other', app_version = app_version - 1 where event_id = ${third}`,
    );
    const erased = await event(sql`event_id > ${third}`);
    await backfill.admin.execute(sql`update ${shadow} set masked_ip = null where event_id = ${erased}`);
    await backfill.admin.execute(sql`delete from user_logins where create_date = ${today}`);

    const { code, out } = await run((port) => diff({ ...options, json: true }, port));
    const report = JSON.parse(out);
    expect(report).toMatchObject({
      same: false,
      days: [
        {
          day: yesterday,
          with: 'shadow',
          both: 39,
          onlyLive: 1,
          onlyAside: 0,
          different: 38,
          columns: { app_version: 38, masked_ip: 2, user_id: 1, locale: 1 },
          otherEpoch: 1,
          examples: { onlyLive: [missing], onlyAside: [], different: [second, expect.any(String)] },
        },
        { day: today, both: 0, onlyLive: 0, onlyAside: 40, different: 0, columns: {} },
      ],
      uncompared: { unlike: [] },
    });
    expect(code).toBe(1);
    const shown = (await run((port) => diff({ ...options, day: [yesterday] }, port))).out;
    expect(shown).toContain(`only live: ${missing}`);
    expect(shown).toContain('NOT the same');
    expect(shown).not.toContain(today);
    for (const value of ['user-', 'nobody', 't1:', 't2:', 'iOS', 'xx', '2003']) {
      expect(out + shown).not.toContain(value);
    }
  });

  test('says which column only one side has, and compares a swapped day with what it was', async () => {
    await backfill.admin.execute(sql`alter table user_logins add column untold text`);
    await backfill.filled(10);
    await backfill.change(yesterday);
    await backfill.admin.execute(sql`alter table user_logins add column platform varchar(16)`);
    const { out, code } = await run((port) => diff({ ...options, json: true }, port));
    expect(JSON.parse(out)).toMatchObject({
      days: [
        { day: yesterday, with: 'before', different: 10, columns: { app_version: 10 } },
        { day: today, with: 'shadow', different: 10 },
      ],
      // Who compares may not read the one.
      uncompared: { unlike: ['platform'], columns: expect.arrayContaining(['untold']) },
    });
    expect(code).toBe(1);
  });

  test.for(['x;drop', 'Fix', 'fix-20261124', 'a'.repeat(60)])('a job cannot be called %s', async (name) => {
    await expect(run((port) => makeShadow({ job: name, from: today }, port))).rejects.toMatchObject({
      code: 'USAGE',
    });
  });
});

test('a shadow is made, listed, swapped, put back and cleaned away', async () => {
  await backfill.store(20);
  const made = await run((port) => makeShadow({ job, from: yesterday, to: today }, port));
  expect(made.out).toBe(`user_logins_shadow_fix_versions\nmade ${yesterday}\nmade ${today}\n`);
  const again = await run((port) => makeShadow({ job, from: yesterday, json: true }, port));
  expect(JSON.parse(again.out)).toEqual({ name: 'user_logins_shadow_fix_versions', made: [] });
  // `fix_versions` would be the same table.
  await expect(run((port) => makeShadow({ job: 'fix_versions', from: today }, port))).rejects.toMatchObject({
    code: 'SHADOW_CONFLICT',
  });
  await backfill.replay('user_logins_shadow_fix_versions');
  const swapped = await run((port) => swap('swap', { ...options, day: [today] }, port));
  expect(swapped.out).toMatch(
    new RegExp(`^swapped ${today}: the table was locked for \\d+ ms, at attempt 1\n$`),
  );
  const listed = await run((port) => listShadowTables({ json: true }, port));
  expect(JSON.parse(listed.out)).toMatchObject({
    shadows: [
      {
        job,
        days: [
          { day: yesterday, place: 'shadow', aside: 'user_logins_shadow_fix_versions_20261123' },
          { day: today, place: 'swapped', aside: 'user_logins_before_fix_versions_20261124' },
        ],
      },
    ],
  });
  await backfill.admin.execute(loginRows(today, 2));
  const back = await run((port) => swap('unswap', { ...options, json: true }, port));
  expect(
    back.out
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line)),
  ).toMatchObject([
    { day: yesterday, place: 'unswapped', already: true },
    { day: today, place: 'unswapped', carried: 2 },
  ]);
  await run((port) => swap('swap', options, port));
  expect(await backfill.count(today)).toEqual({ rows: 22, mended: 20 });
  await expect(run((port) => clean({ job }, port))).rejects.toMatchObject({ code: 'USAGE' });
  expect(await backfill.asides()).toHaveLength(3);
  const gone = await run((port) => clean({ job, yes: true }, port));
  expect(gone).toMatchObject({
    code: 0,
    out: expect.stringContaining('dropped user_logins_shadow_fix_versions\n'),
  });
  expect(await backfill.asides()).toEqual([]);
  expect((await run((port) => listShadowTables({}, port))).out).toBe('no shadow tables\n');
  // What was done stays written; the name is free.
  const { rows } = await backfill.admin.execute(
    sql`select to_char(day, 'YYYY-MM-DD') as day, state, carried from shadow_swaps where cleaned_at is not null order by day`,
  );
  expect(rows).toEqual([
    { day: yesterday, state: 'swapped', carried: '0' },
    { day: today, state: 'swapped', carried: '0' },
  ]);
  expect((await run((port) => makeShadow({ job, from: today }, port))).out).toContain(`made ${today}`);
});

test('killed half-way, the next run goes on behind it; nothing lost, nothing twice', async () => {
  const days = Array.from({ length: 12 }, (_, i) => addDays(today, -i)).sort();
  await backfill.filled(300, days);
  const args = [script, 'replay', 'swap', '--job', job, '--json'];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  const counts = async () => {
    const found: { rows: number; mended: number }[] = [];
    for (const day of days) found.push(await backfill.count(day));
    return found;
  };
  const swapped = (await counts()).filter(({ mended }) => mended === 300).length;
  expect((await counts()).every(({ rows, mended }) => rows === 300 && mended % 300 === 0)).toBe(true);
  expect(swapped).toBeGreaterThan(0);
  expect(swapped).toBeLessThan(days.length);
  // The session of the dead may live a moment longer, with its lock.
  const finish = async (): Promise<string> => {
    for (let tries = 0; ; tries++) {
      try {
        return (await run((port) => swap('swap', { ...options, json: true }, port))).out;
      } catch (error) {
        if (tries === 20) throw error;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    }
  };
  const lines = (await finish())
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  expect(lines).toHaveLength(days.length);
  expect((await counts()).every(({ rows, mended }) => rows === 300 && mended === 300)).toBe(true);
});
