import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { Database } from '../../../db/client.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { openSealed } from '../../../shared/crypto/sealed-box.ts';
import { TransitSealer } from '../../../shared/crypto/transit.ts';
import { addDays, dayOf, type Day } from '../../../shared/time.ts';
import {
  createFileVault,
  openDayPrivateKeys,
  openKeyKeeper,
  openPeppers,
  openTransitKeys,
} from '../../../shared/vault/open-vault.ts';
import { createDatabase } from '../../helpers/database.ts';
import { copiesInMemory } from '../../helpers/process-memory.ts';

const script = fileURLToPath(new URL('../../e2e/thief-writer.ts', import.meta.url));
const now = Date.now();
const today = dayOf(now);
const yesterday = addDays(today, -1);

let cleanup: AsyncDisposableStack;
let admin: Database;
let vaultUrl: string;
let recoveryKeyFile: string;
let pid: number;
/** Sends a line to the writer and waits until it has done it. */
let send: (command: object) => Promise<void>;

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-memory-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  vaultUrl = `file:${directory}/vault`;
  recoveryKeyFile = `${directory}/credentials/recoverer.key`;
  await createFileVault(`${directory}/vault`, recoveryKeyFile);
  const database = cleanup.use(await createDatabase(inject('postgresAdminUrl')));
  admin = database.open('admin');
  const keeper = await openKeyKeeper({ VAULT_URL: vaultUrl });
  await maintainDays({ database: admin, keeper, tables: ['user_logins'], clock: () => now });
  const child = spawn(process.execPath, [script], {
    env: { VAULT_URL: vaultUrl, DATABASE_URL: database.urls.writer },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  cleanup.defer(async () => {
    child.stdin.end();
    await ended;
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  pid = child.pid ?? 0;
  send = async (command) => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    const { value } = await answers.next();
    if (value !== 'done') throw new Error(`the writer said ${value}`);
  };
});
afterEach(() => cleanup.disposeAsync());

/** Logins of both days, sealed in transit. */
async function write(count: number): Promise<void> {
  const transit = new TransitSealer(await openTransitKeys({ VAULT_URL: vaultUrl }));
  const records = [];
  for (let i = 0; i < count; i++) {
    const sentAtMs = i % 2 === 0 ? now : Date.parse(`${yesterday}T12:00:00Z`);
    const eventId = randomUUID();
    await transit.prepare(dayOf(sentAtMs));
    const body = {
      user_id: 'u',
      app_version: '2.3.0',
      device_type: 'ios',
      ip: '203.0.113.9',
      device_id: `d-${i}`,
    };
    const value = transit.seal(Buffer.from(JSON.stringify(body)), { eventId, sentAtMs });
    records.push({ key: eventId, value: value?.toString('base64'), timestampMs: sentAtMs });
  }
  await send({ records });
}

/** Every secret of the two days by name, as their recoverer knows them. */
async function secrets(): Promise<Map<string, Buffer>> {
  const config = { VAULT_URL: vaultUrl };
  const privateKeys = await openDayPrivateKeys(config, recoveryKeyFile);
  const transit = await openTransitKeys(config);
  const found = new Map<string, Buffer | undefined>();
  const { rows } = await admin.execute<{
    day: Day;
    public_key: Buffer;
    dek_id: string;
    sealed_dek: Buffer;
  }>(sql`
    select to_char(day, 'YYYY-MM-DD') as day, public_key, dek_id, sealed_dek from day_keys join data_keys using (day)`);
  for (const { day, public_key: publicKey, dek_id, sealed_dek } of rows) {
    const privateKey = await privateKeys.dayPrivateKey(day, publicKey);
    if (privateKey === undefined) throw new Error('no private key');
    const name = day === today ? 'today' : 'yesterday';
    found.set(`data key ${dek_id} of ${name}`, openSealed(sealed_dek, { publicKey, privateKey }));
    found.set(`private key of ${name}`, privateKey);
    found.set(`transit key of ${name}`, await transit.transitKey(day));
  }
  found.set('pepper', (await (await openPeppers(config)).pepper(1))?.key);
  return new Map([...found].map(([name, key]) => [name, key ?? Buffer.alloc(0)]));
}

/** The names of the secrets that the writer has in memory. */
async function inMemory(): Promise<string[]> {
  const copies = await copiesInMemory(pid, await secrets());
  return [...copies].flatMap(([name, n]) => (n > 0 ? [name] : [])).sort();
}

const always = ['pepper', 'transit key of today', 'transit key of yesterday'];

test('what is left in a writer an hour later, though it does nothing: transit keys and peppers', async () => {
  await write(2_000);
  expect(await inMemory()).toEqual(['data key 1 of today', 'data key 2 of yesterday', ...always]);
  await send({ advanceMs: 3_600_000 });
  expect(await inMemory()).toEqual(always);
  await write(2);
  // What was sealed in the hour before stays shut.
  expect(await inMemory()).toEqual(['data key 3 of today', 'data key 4 of yesterday', ...always]);
});

test('the data key of a shredded day goes within a minute; the other stays', async () => {
  await write(2_000);
  await admin.execute(sql`update day_keys set destroyed_at = now() where day = ${yesterday}`);
  await send({ advanceMs: 60_000 });
  expect(await inMemory()).toEqual(['data key 1 of today', ...always]);
});
