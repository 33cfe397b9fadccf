import { spawn } from 'node:child_process';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Decrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { z } from 'zod';
import { verifyChain } from '../../../services/audit/verify.ts';
import { addDays, dayOf } from '../../../shared/time.ts';
import { openPeppers } from '../../../shared/vault/open-vault.ts';
import { createPipeline, type Pipeline } from '../../helpers/pipeline.ts';
import { storeLogins, type Login, type StoredLogin } from './fixtures.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
// A process a command, ten in some tests.
vi.setConfig({ testTimeout: 180_000 });

const script = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));
const why = ['--reason', 'asked for', '--ticket', 'T-1'];
const event = z.object({
  eventId: z.string(),
  accessId: z.string(),
  personal: z.object({ ip: z.string().nullable(), device_id: z.string().nullable() }),
});
const report = z.object({
  report: z.object({
    events: z.number(),
    head: z.string(),
    skipped: z.array(z.unknown()),
    damaged: z.number(),
  }),
});

let pipeline: Pipeline;
let to: string;
let from: string;
beforeAll(async () => {
  pipeline = await createPipeline(servers);
  to = dayOf(Date.now());
  from = addDays(to, -1);
});
afterAll(() => pipeline[Symbol.asyncDispose]());

async function store(logins: readonly Login[]): Promise<StoredLogin[]> {
  const peppers = await openPeppers({ VAULT_URL: pipeline.env['VAULT_URL'] ?? '' });
  return storeLogins(pipeline.admin, peppers, logins);
}

const range = (...selection: string[]) => ['recover', ...selection, '--from', from, '--to', to, ...why];

async function logged(): Promise<string[]> {
  const { rows } = await pipeline.admin.execute<{ line: string }>(
    sql`select concat_ws('|', action, subject) as line from access_log order by id`,
  );
  return rows.map(({ line }) => line);
}

/** Lines of events, then the report. */
function parsed(text: string) {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  return {
    events: lines.slice(0, -1).map((line) => event.parse(line)),
    report: report.parse(lines.at(-1)).report,
  };
}

function plain(found: readonly z.output<typeof event>[]) {
  return found.map(({ eventId, personal }) => [eventId, personal.ip, personal.device_id]);
}

const sent = (logins: readonly StoredLogin[]) => logins.map((l) => [l.eventId, l.ip, l.deviceId]);

test('ten thousand stream out, each with its entry, and the log verifies; an edited one is found', async () => {
  const logins = await store(
    Array.from({ length: 10_000 }, (_, i) => ({ day: i % 2 === 0 ? from : to, userId: 'many' })),
  );
  const before = (await logged()).length;
  const { code, stdout } = await pipeline.run(...range('--user-id', 'many'), '--json');
  expect(code).toBe(0);
  const found = parsed(stdout);
  expect(plain(found.events)).toEqual(sent(logins));
  const entries = (await logged()).slice(before);
  expect(entries).toEqual([
    `recover|user:many ${from}..${to}`,
    ...logins.map(({ eventId }) => `recover|${eventId}`),
  ]);
  expect(found.report).toMatchObject({ events: 10_000, skipped: [], damaged: 0 });
  expect(await pipeline.run('audit', 'verify', '--no-heads', '--head', found.report.head)).toMatchObject({
    code: 0,
  });

  const edit = (subject: string) =>
    pipeline.admin.transaction(async (session) => {
      await session.execute(sql`alter table access_log disable trigger all`);
      await session.execute(sql`update access_log set subject = ${subject} where id = ${before + 5_000}`);
      await session.execute(sql`alter table access_log enable trigger all`);
    });
  await edit('another');
  const { finding } = await verifyChain(pipeline.database.open('operator'), []);
  expect(finding).toMatchObject({ id: BigInt(before + 5_000), kind: 'changed' });
  await edit(logins[4_998]?.eventId ?? '');
});

test('one event, as text and as JSON; one that is not stored', async () => {
  const [login] = await store([{ day: to, userId: 'single' }]);
  const command = ['recover', '--event-id', login?.eventId ?? '', ...why];
  const text = await pipeline.run(...command);
  expect(text).toMatchObject({ code: 0, stderr: '' });
  expect(text.stdout).toContain(`ip                ${login?.ip}\n`);
  expect(text.stdout).toMatch(/ip token {10}t1:[\w-]{22}\n/);
  const json = z
    .object({ head: z.string() })
    .and(event)
    .parse(JSON.parse((await pipeline.run(...command, '--json')).stdout));
  expect(json.personal).toEqual({ ip: login?.ip, device_id: login?.deviceId });
  expect(json.head).toMatch(new RegExp(`^${json.accessId}:[0-9a-f]{64}$`));
  const absent = await pipeline.run('recover', '--event-id', '99999999-9999-4999-8999-999999999999', ...why);
  expect(absent).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('no such event is stored'),
  });
});

describe('into a file', () => {
  test('only encrypted: each recipient opens it, nobody else, and no plain text is on the disk', async () => {
    const logins = await store(
      Array.from({ length: 700 }, () => ({ day: to, userId: 'filed', deviceId: 'CANARY' })),
    );
    const identities = [await generateX25519Identity(), await generateX25519Identity()];
    const recipients = await Promise.all(identities.map((identity) => identityToRecipient(identity)));
    const file = join(pipeline.directory, 'filed.age');
    const options = recipients.flatMap((recipient) => ['--encrypt-for', recipient]);
    const run = await pipeline.run(...range('--user-id', 'filed'), '--output', file, ...options);
    expect(run).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^700 events recovered for user:filed /),
    });
    expect(run.stdout).not.toContain('CANARY');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const content = await readFile(file);
    expect(content.includes('CANARY')).toBe(false);
    expect(content.subarray(0, 21).toString()).toBe('age-encryption.org/v1');
    for (const identity of identities) {
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity);
      const found = parsed(await decrypter.decrypt(content, 'text'));
      expect(plain(found.events)).toEqual(sent(logins));
    }
    const stranger = new Decrypter();
    stranger.addIdentity(await generateX25519Identity());
    await expect(stranger.decrypt(content)).rejects.toThrow('no identity matched');
    expect((await readdir(pipeline.directory)).filter((name) => name.endsWith('.part'))).toEqual([]);

    // Never replaced, and refused before anything is opened.
    const before = await logged();
    const again = await pipeline.run(...range('--user-id', 'filed'), '--output', file, ...options);
    expect(again).toMatchObject({ code: 2, stdout: '' });
    expect(await readFile(file)).toEqual(content);
    expect(await logged()).toEqual(before);
  });

  test('never plain, nor for a key that is none, nor where it cannot be written', async () => {
    const identity = await generateX25519Identity();
    const recipient = await identityToRecipient(identity);
    const file = join(pipeline.directory, 'refused.age');
    const before = await logged();
    for (const [options, said] of [
      [['--output', file], '--output and --encrypt-for go together'],
      [['--encrypt-for', recipient], '--output and --encrypt-for go together'],
      [['--output', file, '--encrypt-for', identity], 'takes an age recipient'],
      [['--output', file, '--encrypt-for', `${recipient}x`], 'takes an age recipient'],
    ] as const) {
      const run = await pipeline.run(...range('--user-id', 'filed'), ...options);
      expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(said) });
      expect(run.stderr).not.toContain(identity);
    }
    const nowhere = join(pipeline.directory, 'no/such/file.age');
    expect(
      await pipeline.run(...range('--user-id', 'filed'), '--output', nowhere, '--encrypt-for', recipient),
    ).toMatchObject({ code: 1, stderr: expect.stringContaining('--output: ENOENT') });
    expect(await logged()).toEqual(before);
  });

  test('nor by the shell: standard output that is a file is refused', async () => {
    await using output = await open(join(pipeline.directory, 'redirected'), 'w');
    const before = await logged();
    const child = spawn(process.execPath, [script, ...range('--user-id', 'filed')], {
      env: pipeline.env,
      stdio: ['ignore', output.fd, 'pipe'],
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(2);
    expect((await stat(join(pipeline.directory, 'redirected'))).size).toBe(0);
    expect(await logged()).toEqual(before);
  });
});

test('a reader that goes away ends it: exit code 1, and no entry is missing', async () => {
  await store(Array.from({ length: 3_000 }, () => ({ day: to, userId: 'headed' })));
  const child = spawn(process.execPath, [script, ...range('--user-id', 'headed'), '--json'], {
    env: pipeline.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const closed = new Promise((resolve) => child.once('close', resolve));
  const first = await new Promise<string>((resolve) =>
    child.stdout.once('data', (text: Buffer) => {
      resolve(text.toString().split('\n')[0] ?? '');
      child.stdout.destroy();
    }),
  );
  expect(await closed).toBe(1);
  expect(stderr).toContain('[OUTPUT_FAILED]');
  expect(await logged()).toContain(`recover|${event.parse(JSON.parse(first)).eventId}`);
});

test('what people see: erased, damaged, and text that a terminal would obey', async () => {
  const [login] = await store([
    { day: to, userId: 'evil\u001b[2J', deviceId: 'dev\u009b31m', ip: '198.51.100.1' },
    { day: to, userId: 'evil\u001b[2J', ip: '198.51.100.2' },
  ]);
  const text = await pipeline.run(...range('--user-id', 'evil\u001b[2J'));
  expect(text.code).toBe(0);
  expect(text.stdout).toContain('evil\\u001b[2J');
  expect(text.stdout).toContain('dev\\u009b31m');
  const hasControls = (output: string) => /[\p{Cc}]/u.test(output.replaceAll('\n', ''));
  expect(hasControls(text.stdout)).toBe(false);
  expect(hasControls((await pipeline.run(...range('--user-id', 'evil\u001b[2J'), '--json')).stdout)).toBe(
    false,
  );
  await pipeline.admin.execute(sql`update user_logins set ip_sealed = null, masked_ip = null,
    device_id_sealed = '\\x0101' where event_id = ${login?.eventId ?? ''}`);
  const after = await pipeline.run(...range('--user-id', 'evil\u001b[2J'));
  expect(after.code).toBe(1);
  expect(after.stdout).toContain('(erased)');
  expect(after.stdout).toContain('(does not open)');
  expect(after.stdout).toContain(`${to}  ${login?.eventId ?? ''}  device_id_sealed`);
});

test('approval: asked for, refused until approved, used once', async () => {
  const [login] = await store([{ day: to, userId: 'two-people' }]);
  const command = ['recover', '--event-id', login?.eventId ?? '', ...why];
  const asked = await pipeline.run(...command, '--require-approval', '--json');
  expect(asked).toMatchObject({ code: 1, stderr: expect.stringContaining('[APPROVAL_MISSING]') });
  const { request: id } = z.object({ request: z.string() }).parse(JSON.parse(asked.stdout));
  expect(asked.stdout).not.toContain(login?.ip);
  const early = await pipeline.run(...command, '--request', id);
  expect(early).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('waits for approval') });
  expect((await pipeline.run('recover', 'requests')).stdout).toContain('waiting');
  const approved = await pipeline.run('recover', 'approve', id, '--json');
  expect(JSON.parse(approved.stdout)).toMatchObject({
    id,
    state: 'approved',
    approved_by: 'sluice_approver',
  });
  const opened = await pipeline.run(...command, '--request', id, '--json');
  expect(event.parse(JSON.parse(opened.stdout)).personal.ip).toBe(login?.ip);
  const again = await pipeline.run(...command, '--request', id);
  expect(again).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('was used on') });
  expect((await pipeline.run('recover', 'approve', id)).code).toBe(1);
  expect((await logged()).slice(-4)).toEqual([
    `request|request:${id} ${login?.eventId ?? ''}`,
    `approve|request:${id} ${login?.eventId ?? ''}`,
    `recover|request:${id} ${login?.eventId ?? ''}`,
    `recover|${login?.eventId ?? ''}`,
  ]);
});

test('RECOVERY_REQUIRE_APPROVAL=on opens nothing without a request', async () => {
  const [login] = await store([{ day: to, userId: 'guarded' }]);
  await using guarded = await createPipeline(servers, {
    env: {
      ...pipeline.env,
      RECOVERY_REQUIRE_APPROVAL: 'on',
      // It must not even get as far as the vault.
      VAULT_RECOVERY_KEY_FILE: '',
    },
  });
  for (const selection of [
    ['--event-id', login?.eventId ?? ''],
    ['--user-id', 'guarded', '--from', from, '--to', to],
  ]) {
    const run = await guarded.run('recover', ...selection, ...why);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('[APPROVAL_MISSING]') });
  }
});

describe('usage', () => {
  test.for([
    [['recover', ...why], 'give one of'],
    [['recover', '--event-id', '11111111-1111-4111-8111-111111111111', '--ticket', 'T'], '--reason'],
    [['recover', '--event-id', '11111111-1111-4111-8111-111111111111', ...why, '--limit', '3'], '--limit'],
    [['recover', 'approve', 'x'], 'by its number'],
    [
      ['recover', '--user-id', 'u', '--from', '2026-11-01', '--to', '2026-11-02', ...why, '--request', '0'],
      'by its number',
    ],
  ] as const)('%j: %s', async ([args, said]) => {
    expect(await pipeline.run(...args)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(said),
    });
  });
});
