import { spawn } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { z } from 'zod';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { addDays, dayOf } from '../../../shared/time.ts';
import { openKeyKeeper, openPeppers, openTransitKeys } from '../../../shared/vault/open-vault.ts';
import { createPipeline, type Pipeline } from '../../helpers/pipeline.ts';
import { TestWriter } from '../../helpers/writer.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
const day = addDays(dayOf(Date.now()), -100);
const noon = Date.parse(`${day}T12:00:00Z`);
const eventId = '0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0';
const maintained = z.object({ archived: z.array(z.object({ day: z.string(), rows: z.number() })) });
const stuck = z.object({ archived: z.array(z.unknown()), notArchived: z.array(z.string()) });
const purpose = ['--reason', 'test', '--ticket', 'T-1'];

/** A pipeline with one old day that has a login. */
async function withOldDay(): Promise<Pipeline> {
  const pipeline = await createPipeline(servers, { partitions: 1 });
  const config = { VAULT_URL: pipeline.env['VAULT_URL'] ?? '' };
  await maintainDays({
    database: pipeline.admin,
    keeper: await openKeyKeeper(config),
    tables: ['user_logins'],
    clock: () => noon,
  });
  using writer = new TestWriter({
    connection: pipeline.database.open('writer'),
    vault: { ...(await openTransitKeys(config)), ...(await openPeppers(config)) },
    clock: Date.now,
  });
  await writer.writeLogins([{ eventId, sentAtMs: noon, ip: '203.0.113.77' }]);
  return pipeline;
}

test('away, back, and gone, as an operator sees it', { timeout: 180_000 }, async () => {
  await using pipeline = await withOldDay();
  const run = (...args: string[]) => pipeline.run(...args);
  const recover = () => run('recover', '--event-id', eventId, '--day', day, ...purpose);
  expect((await run('archive', '--older-than', '20d')).stderr).toMatch(/22 days .*\[USAGE\]/);
  expect((await run('archive', '--older-than', '90d', '--dry-run')).stdout).toContain(day);
  expect((await recover()).stdout).toContain('203.0.113.77');

  const archived = await run('archive', '--older-than', '90d', '--day', day);
  expect(archived).toMatchObject({ code: 0, stderr: '' });
  expect(archived.stdout).toMatch(
    new RegExp(`^archived ${day}: 1 rows, [\\d.]+ MiB \\(\\d+ % of [\\d.]+ MiB\\) at file:`),
  );
  expect(await recover()).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('[DAY_ARCHIVED]'),
  });

  expect(await run('restore', '--day', day)).toMatchObject({ code: 0, stderr: '' });
  expect((await recover()).stdout).toContain('203.0.113.77');

  // Unattended: a restored day is left alone, until it has been kept for long enough.
  const unattended = async () => {
    const { stdout } = await runWith(pipeline, { ARCHIVE_AFTER_DAYS: '90' }, 'maintain', '--json');
    return maintained.parse(JSON.parse(stdout));
  };
  expect((await unattended()).archived).not.toContainEqual(expect.objectContaining({ day }));
  await pipeline.admin.execute(sql`update archives set keep_until = now() where day = ${day}`);
  expect((await unattended()).archived).toEqual([expect.objectContaining({ day, rows: 1 })]);
  expect((await unattended()).archived).toEqual([]);

  expect(await run('shred', '--day', day, ...purpose)).toMatchObject({ code: 0, stderr: '' });
  for (const refused of [await recover(), await run('restore', '--day', day)]) {
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(
      new RegExp(`^sluice: ${day} was shredded on .* \\(ticket T-1\\).*\\[KEY_DESTROYED\\]`),
    );
  }
});

test('a day whose key is lost is named and does not keep the others', { timeout: 120_000 }, async () => {
  await using pipeline = await withOldDay();
  const keys = join(pipeline.directory, 'vault', 'day');
  for (const file of await readdir(keys)) if (file.startsWith(day)) await rm(join(keys, file));
  const { code, stdout } = await runWith(pipeline, { ARCHIVE_AFTER_DAYS: '90' }, 'maintain', '--json');
  expect(code).toBe(1);
  const report = stuck.parse(JSON.parse(stdout.split('\n').at(-2) ?? ''));
  expect(report.notArchived).toEqual([day]);
  // The horizon around that day, but for it.
  expect(report.archived).toHaveLength(21);

  const again = await pipeline.run('archive', '--older-than', '90d');
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr).toMatch(
    new RegExp(`^sluice: ${day} is not archived: .* no private key .*CONFLICT\\]`),
  );
  // Until somebody knows more, its rows can be had back.
  expect(await pipeline.run('restore', '--day', day)).toMatchObject({ code: 0, stderr: '' });
});

test('killed again and again, on the way out and back: not a row is lost', { timeout: 300_000 }, async () => {
  await using pipeline = await withOldDay();
  await pipeline.admin.execute(sql`
    insert into user_logins (create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, app_version,
      app_version_text, ip_sealed, device_id_sealed, dek_id)
    select create_date, gen_random_uuid(), sent_at, 'u-' || i, device_type, masked_ip, masked_device_id, app_version, app_version_text,
      ip_sealed || int4send(i), device_id_sealed || int4send(i), dek_id
    from user_logins, generate_series(1, 50000) i where create_date = ${day}`);
  const digest = async () => {
    const { rows } = await pipeline.admin.execute<{ digest: string }>(sql`
      select count(*) || ' ' || md5(string_agg(md5(r::text), '' order by event_id)) as digest
      from user_logins r where create_date = ${day}`);
    return rows[0]?.digest;
  };
  const before = await digest();
  expect(before).toMatch(/^50001 /);
  for (const args of [
    ['archive', '--older-than', '90d', '--day', day],
    ['restore', '--day', day],
  ]) {
    const codes: (number | string)[] = [];
    for (let killAfterMs = 300; codes.at(-1) !== 0; killAfterMs += 200) {
      codes.push((await runWith(pipeline, {}, ...args, { killAfterMs })).code);
    }
    // Each run but the last was killed, and the last had only the rest to do.
    expect(new Set(codes.slice(0, -1))).toEqual(new Set(['SIGKILL']));
    expect(codes.length).toBeGreaterThan(2);
  }
  expect(await digest()).toBe(before);
});

/** `sluice …` with more settings; killed after a while, if it has not ended by itself. */
async function runWith(
  pipeline: Pipeline,
  env: Readonly<Record<string, string>>,
  ...args: (string | { killAfterMs: number })[]
): Promise<{ code: number | string; stdout: string }> {
  const words = args.filter((arg) => typeof arg === 'string');
  const limit = args.find((arg) => typeof arg === 'object');
  const sluice = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));
  const child = spawn(process.execPath, [sluice, ...words], {
    env: { ...pipeline.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 1));
  });
  if (limit !== undefined) {
    await Promise.race([ended, sleep(limit.killAfterMs)]);
    child.kill('SIGKILL');
  }
  return { code: await ended, stdout: Buffer.concat(chunks).toString() };
}
