import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { describe, expect, inject, test } from 'vitest';
import { dekIdOf, openField, type Cell } from '../../shared/crypto/field.ts';
import { openSealed } from '../../shared/crypto/sealed-box.ts';
import { openDayPrivateKeys } from '../../shared/vault/open-vault.ts';
import { expectDelivered } from '../helpers/invariants.ts';
import { createPipeline, type Pipeline } from '../helpers/pipeline.ts';
import { sendAll } from '../helpers/queues.ts';
import { settled } from '../helpers/settle.ts';
import { readAll } from '../helpers/topics.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};

/** Values that must not be seen anywhere. Each login has its own address and device. */
const logins = Array.from({ length: 40 }, (_, i) => ({
  user_id: `user-${i}`,
  app_version: '2.3.0',
  device_type: 'iOS',
  ip: `203.0.113.${100 + i}`,
  locale: null,
  device_id: `CANARY-DEVICE-${i}`,
}));
const [first] = logins;
const deadBodies = [
  'CANARY-BODY which is not JSON',
  JSON.stringify({ ...first, ip: 'CANARY-NOT-AN-ADDRESS' }),
  JSON.stringify({ ...first, device_id: 'CANARY-TOO-LONG'.repeat(40) }),
  JSON.stringify({ ...first, device_id: 'CANARY-NUL\u0000' }),
  JSON.stringify({ ...first, device_id: { nested: 'CANARY-TYPE' } }),
  JSON.stringify({ 'CANARY-KEY': 'CANARY-VALUE' }),
];
const unknownFieldBody = JSON.stringify({ ...first, ip: '203.0.113.200', secret: 'CANARY-UNKNOWN-FIELD' });

const options = { partitions: 3, env: { LOG_LEVEL: 'trace' } };

async function sendCanaries(pipeline: Pipeline): Promise<void> {
  await pipeline.start('connector');
  await pipeline.start('writer');
  const bodies = [...logins.map((login) => JSON.stringify(login)), ...deadBodies, unknownFieldBody];
  const ids = await sendAll(pipeline.queue, bodies);
  await settled(pipeline);
  const outcome = await expectDelivered(pipeline, new Set(ids));
  expect(outcome.dead.size).toBe(deadBodies.length);
}

/** Everything a thief of logs, topics and database would hold, as text: bytes as latin1 and as hex. */
async function everythingOf(pipeline: Pipeline): Promise<Record<string, string>> {
  const found: Record<string, string> = { logs: await pipeline.logs() };
  for (const topic of [pipeline.rawTopic, pipeline.deadLetterTopic]) {
    const records = await readAll(pipeline.kafkaBrokers, topic);
    const text = (bytes: Buffer) => `${bytes.toString('latin1')}\n`;
    found[`${topic} keys`] = records.map(({ key }) => text(key)).join('');
    found[`${topic} values`] = records.map(({ value }) => text(value)).join('');
    found[`${topic} headers`] = records
      .flatMap(({ headers }) => Object.entries(headers).map(([name, value]) => `${name} ${text(value)}`))
      .join('');
  }
  const { rows: tables } = await pipeline.admin.execute<{ name: string }>(
    sql`select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')`,
  );
  for (const { name } of tables) {
    const { rows } = await pipeline.admin.execute<{ line: string }>(
      sql`select t::text as line from ${sql.raw(name)} t`,
    );
    found[`table ${name}`] = rows.map(({ line }) => line).join('\n');
  }
  const verify = await pipeline.run('verify', '--json');
  found['verify'] = verify.stdout + verify.stderr;
  return found;
}

async function vaultKeys(directory: string): Promise<Buffer[]> {
  const keys: Buffer[] = [];
  for (const part of ['transit', 'pepper']) {
    for (const file of await readdir(join(directory, 'vault', part))) {
      keys.push(await readFile(join(directory, 'vault', part, file)));
    }
  }
  keys.push(await readFile(join(directory, 'credentials', 'recoverer.key')));
  return keys;
}

function spellings(bytes: Buffer): string[] {
  return [
    bytes.toString('latin1'),
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
  ];
}

describe('canary', () => {
  test('no address, device, body or key anywhere but sealed; every cell opens in its own place and no other', async () => {
    await using pipeline = await createPipeline(servers, options);
    await sendCanaries(pipeline);
    const everything = await everythingOf(pipeline);
    const canaries = [
      ...['203.0.113.', 'CANARY'].flatMap((text) => [text, Buffer.from(text).toString('hex')]),
      ...(await vaultKeys(pipeline.directory)).flatMap(spellings),
    ];
    const leaks = Object.entries(everything).flatMap(([place, text]) =>
      canaries.filter((canary) => text.includes(canary)).map((canary) => `${canary} in ${place}`),
    );
    expect(leaks).toEqual([]);
    // The search itself must be able to find something.
    expect(Object.values(everything).join('')).toContain('user-39');
    expect(everything['logs']?.length).toBeGreaterThan(100);

    const cells = await sealedCells(pipeline);
    expect(cells).toHaveLength(2 * (logins.length + 1));
    const sent = new Set(
      [...logins, { ...logins[0], ip: '203.0.113.200' }].flatMap((l) => [l.ip, l.device_id]),
    );
    expect(new Set(cells.map(({ cell, sealed, dek }) => openField(sealed, cell, dek)))).toEqual(sent);
    const opened = cells.flatMap(({ sealed, dek, cell }) =>
      cells.filter((other) => other.cell !== cell && openField(sealed, other.cell, dek) !== undefined),
    );
    expect(opened).toEqual([]);
  });

  test('a swapped cell does not open for the recoverer either, and each attempt is in the access log', async () => {
    await using pipeline = await createPipeline(servers, options);
    await sendCanaries(pipeline);
    const { rows } = await pipeline.admin.execute<{ event_id: string; user_id: string }>(
      sql`select event_id, user_id from user_logins where user_id in ('user-1', 'user-2') order by user_id`,
    );
    const [one, two] = rows;
    const recover = (id = '') =>
      pipeline.run('recover', '--event-id', id, '--reason', 'test', '--ticket', 'T-1', '--json');
    const before = await recover(one?.event_id);
    expect(before.code).toBe(0);
    expect(JSON.parse(before.stdout)).toMatchObject({
      personal: { ip: '203.0.113.101', device_id: 'CANARY-DEVICE-1' },
      clear: { user_id: 'user-1' },
    });
    await pipeline.admin.execute(sql`
      update user_logins set ip_sealed = (select ip_sealed from user_logins where event_id = ${two?.event_id ?? ''})
      where event_id = ${one?.event_id ?? ''}`);
    const after = await recover(one?.event_id);
    expect(after.code).toBe(1);
    expect(after.stdout).toBe('');
    expect(after.stderr).toContain('ip_sealed does not open in its place');
    const { rows: log } = await pipeline.admin.execute<{ subject: string; ticket: string; actor: string }>(
      sql`select subject, ticket, actor from access_log order by id`,
    );
    expect(log).toEqual(
      [1, 2].map(() => ({ subject: one?.event_id, ticket: 'T-1', actor: 'sluice_recoverer' })),
    );
  });
});

interface OpenableCell {
  readonly cell: Cell;
  readonly sealed: Buffer;
  readonly dek: Buffer;
}

/** Every sealed cell with the data key it needs, opened by the private key of its day. */
async function sealedCells(pipeline: Pipeline): Promise<OpenableCell[]> {
  const { VAULT_URL = '', VAULT_RECOVERY_KEY_FILE = '' } = pipeline.env;
  const vault = await openDayPrivateKeys({ VAULT_URL }, VAULT_RECOVERY_KEY_FILE);
  const { rows } = await pipeline.admin.execute<{
    event_id: string;
    day: string;
    ip_sealed: Buffer;
    device_id_sealed: Buffer;
    public_key: Buffer;
    sealed_dek: Buffer;
    dek_id: string;
  }>(sql`select event_id, create_date::text as day, ip_sealed, device_id_sealed, public_key, sealed_dek, dek_id
      from user_logins join data_keys using (dek_id) join day_keys on day_keys.day = create_date`);
  const cells: OpenableCell[] = [];
  for (const row of rows) {
    const privateKey = await vault.dayPrivateKey(row.day, row.public_key);
    const pair = { publicKey: row.public_key, privateKey: privateKey ?? Buffer.alloc(32) };
    const dek = openSealed(row.sealed_dek, pair);
    if (dek === undefined) throw new Error('a data key does not open');
    for (const column of ['ip_sealed', 'device_id_sealed'] as const) {
      expect(dekIdOf(row[column])).toBe(BigInt(row.dek_id));
      const cell = { table: 'user_logins', column, day: row.day, eventId: row.event_id };
      cells.push({ cell, sealed: row[column], dek });
    }
  }
  return cells;
}
