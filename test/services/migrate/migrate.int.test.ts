import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { randomName } from '../../helpers/topics.ts';

const script = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));

let database: TestDatabase;
let directory: string;
let env: Record<string, string>;

beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  directory = await mkdtemp(join(tmpdir(), 'migrate-'));
  env = {
    ADMIN_DATABASE_URL: database.urls.admin,
    OPERATOR_DATABASE_URL: database.urls.operator,
    KAFKA_BROKERS: inject('kafkaBrokers'),
    RAW_TOPIC: randomName('raw'),
    DEAD_LETTER_TOPIC: randomName('dead'),
    WRITER_GROUP: randomName('group'),
    TOPIC_PARTITIONS: '2',
    VAULT_URL: `file:${directory}/vault`,
    VAULT_RECOVERY_KEY_FILE: join(directory, 'custody', 'recoverer.key'),
  };
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function start(...args: string[]) {
  return spawn(process.execPath, [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function sluice(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = start(...args);
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await once(child, 'close');
  const [out, err] = await output;
  return { code: Number(code), out, err };
}

test('migrate, maintain and verify from nothing, then again with nothing to do', async () => {
  const admin = database.open('admin');
  await admin.execute(sql`drop schema public cascade`);
  await admin.execute(sql`create schema public`);

  const migrated = await sluice('migrate');
  expect(migrated).toMatchObject({ code: 0, err: '' });
  expect(migrated.out).toMatch(/applied migration 0001_roles\n[^]*made the vault/);
  expect((await stat(join(directory, 'custody', 'recoverer.key'))).mode & 0o777).toBe(0o600);
  expect(await sluice('migrate')).toEqual({ code: 0, out: 'nothing to do\n', err: '' });
  const json: unknown = JSON.parse((await sluice('migrate', '--json')).out);
  expect(json).toMatchObject({ migrations: [], vault: false, topics: [{ topic: env['RAW_TOPIC'] }, {}] });

  const maintained = await sluice('maintain');
  expect(maintained).toMatchObject({ code: 0, err: '' });
  expect(maintained.out.match(/^made partition user_logins_\d{8}$/gm)).toHaveLength(22);
  expect(maintained.out.match(/^published the key of /gm)).toHaveLength(22);
  expect((await sluice('maintain')).out).toMatch(/^nothing to do: ready from \S+ to \S+\n$/);

  const verified = await sluice('verify', '--complete', '--json');
  expect(JSON.parse(verified.out)).toMatchObject({ proven: true, partitions: [{ lag: '0' }, { lag: '0' }] });
});

test('maintain --every goes on until SIGTERM and ends with 0', async () => {
  expect(await sluice('migrate')).toMatchObject({ code: 0 });
  const child = start('maintain', '--every', '1s', '--json');
  const lines: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    lines.push(...chunk.split('\n').filter((line) => line !== ''));
    if (lines.length === 3) child.kill('SIGTERM');
  });
  const [code, signal] = await once(child, 'close');
  expect({ code, signal }).toEqual({ code: 0, signal: null });
  const reports = lines.map((line): { dayKeys: string[] } => JSON.parse(line));
  expect(reports.slice(0, 3).map(({ dayKeys }) => dayKeys.length)).toEqual([22, 0, 0]);
});

describe('one line that says what to do, and an exit code that means something', () => {
  test('a missing variable', async () => {
    delete env['ADMIN_DATABASE_URL'];
    delete env['KAFKA_BROKERS'];
    const { code, err } = await sluice('migrate');
    expect(code).toBe(2);
    expect(err).toMatch(/^sluice: ADMIN_DATABASE_URL is not set; KAFKA_BROKERS is not set.*\n$/);
  });

  test('a wrong flag, a wrong duration', async () => {
    expect(await sluice('verify', '--nope')).toMatchObject({ code: 2 });
    expect(await sluice('maintain', '--every', 'soon')).toMatchObject({
      code: 2,
      err: expect.stringContaining('--every takes a duration'),
    });
  });

  test('a server that cannot be reached', async () => {
    env['ADMIN_DATABASE_URL'] = 'postgres://somebody:pass-in-url@127.0.0.1:1/x';
    const { code, err } = await sluice('migrate');
    expect(code).toBe(3);
    expect(err).toMatch(/^sluice: ECONNREFUSED\. Postgres cannot be reached.*\[DATABASE_UNAVAILABLE\]\n$/);
    expect(err).not.toContain('pass-in-url');
  });

  test('no vault', async () => {
    expect(await sluice('maintain')).toMatchObject({
      code: 1,
      err: expect.stringContaining('[VAULT_NOT_FOUND]'),
    });
  });

  test('a group that committed what the ledger does not have: 1', async () => {
    await sluice('migrate');
    await database.open('admin').execute(sql`
      insert into ledger (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields, written_by)
      values (${env['RAW_TOPIC']}, 0, 3, 9, 7, 7, 0, 0, 0, 'test')`);
    const { code, out } = await sluice('verify');
    expect(code).toBe(1);
    expect(out).toContain('partition 0: the ledger reaches beyond the end of the topic');
  });
});
