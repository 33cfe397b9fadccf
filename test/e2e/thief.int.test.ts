import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { zstdDecompressSync } from 'node:zlib';
import { sql } from 'drizzle-orm';
import { expect, inject, test } from 'vitest';
import { maintainDays } from '../../services/maintenance/maintain.ts';
import { openSealed } from '../../shared/crypto/sealed-box.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import { addDays, dayOf, type Day } from '../../shared/time.ts';
import {
  openDayPrivateKeys,
  openKeyKeeper,
  openPeppers,
  openTransitKeys,
} from '../../shared/vault/open-vault.ts';
import { createPipeline, type Pipeline } from '../helpers/pipeline.ts';
import { plunder, type Loot } from '../helpers/thief.ts';
import { readAll, testKafkaClient } from '../helpers/topics.ts';
import { TestWriter } from '../helpers/writer.ts';

const today = dayOf(Date.now());
const days = {
  live: today,
  archived: addDays(today, -100),
  shreddedLive: addDays(today, -30),
  shreddedArchived: addDays(today, -101),
} as const;
type DayKind = keyof typeof days;
const kinds = ['live', 'archived', 'shreddedLive', 'shreddedArchived'] as const satisfies DayKind[];

/** Every value exists on one day alone, so that what opens says where it came from. */
const logins = kinds.flatMap((kind, k) =>
  Array.from({ length: 3 }, (_, i) => ({
    kind,
    eventId: randomUUID(),
    sentAtMs: kind === 'live' ? Date.now() - 1_000 : Date.parse(`${days[kind]}T12:00:00Z`),
    ip: `203.0.113.${10 * k + i}`,
    device: `device-${kind}-${i}`,
  })),
);
const candidates = {
  ip: Array.from({ length: 256 }, (_, i) => `203.0.113.${i}`),
  device_id: logins.map(({ device }) => device),
};
const valuesOf = (kind: DayKind) =>
  new Set(logins.filter((login) => login.kind === kind).flatMap(({ ip, device }) => [ip, device]));

const holdings = ['database', 'topics', 'archive', 'vault', 'writer memory', 'recovery key'] as const;
type Holding = (typeof holdings)[number];

/** Fields and tokens of the days that were not shredded, bodies of any day: all of them, or none. Anything between is a failure. */
async function whatOpens(loot: Readonly<Record<Holding, Loot>>, held: readonly Holding[]): Promise<string> {
  const opened = await plunder(
    held.map((holding) => loot[holding]),
    candidates,
  );
  const found: string[] = [];
  for (const what of ['fields', 'tokens'] as const) {
    const byDay = opened[what];
    for (const kind of ['shreddedLive', 'shreddedArchived'] as const) {
      expect(
        byDay.get(days[kind]) ?? new Set(),
        `${what} of a shredded day, holding ${held.join(' + ')}`,
      ).toEqual(new Set());
    }
    const of = (['live', 'archived'] as const).filter((kind) => byDay.has(days[kind]));
    for (const kind of of) expect(byDay.get(days[kind])).toEqual(valuesOf(kind));
    if (of.length > 0) found.push(what);
  }
  if (opened.bodies.size > 0) found.push('bodies');
  return found.sort().join(', ');
}

test('nothing opens that docs/custody.md does not allow, whatever a thief holds', async () => {
  await using pipeline = await createPipeline(
    {
      postgresAdminUrl: inject('postgresAdminUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
      sqsEndpoint: inject('sqsEndpoint'),
    },
    { partitions: 1 },
  );
  await using child = await startWriter(pipeline);
  await fill(pipeline, child);

  const base = {
    database: await databaseLoot(pipeline),
    topics: await topicsLoot(pipeline),
    archive: await archiveLoot(pipeline),
    vault: await vaultLoot(pipeline),
    'recovery key': { keys: [await readFile(pipeline.env['VAULT_RECOVERY_KEY_FILE'] ?? '')] },
  };
  const secrets = await everySecret(pipeline);

  // While it is at work, its memory opens what it has sealed within the hour: the thief's tools are good enough to find it.
  const busy = { ...base, 'writer memory': await memoryLoot(child.pid, secrets) };
  expect(await whatOpens(busy, ['database', 'writer memory'])).toBe('fields, tokens');
  expect(await whatOpens(busy, ['archive', 'writer memory'])).toBe('tokens');

  await child.send({ advanceMs: 3_600_001 });
  const loot = { ...base, 'writer memory': await memoryLoot(child.pid, secrets) };
  const found: Record<string, Record<string, string>> = {};
  for (const one of holdings) {
    const row: Record<string, string> = {};
    for (const other of holdings) row[other] = await whatOpens(loot, [...new Set([one, other])]);
    found[one] = row;
  }
  expect(found).toEqual(await documented());

  // Three open fields, and these three alone; a shredded day stays shut to who holds everything.
  const triples = holdings.flatMap((a, i) =>
    holdings.slice(i + 1).flatMap((b, j) => holdings.slice(i + j + 2).map((c) => [a, b, c] as const)),
  );
  const opening: string[] = [];
  for (const three of triples) {
    if ((await whatOpens(loot, three)).includes('fields')) opening.push(three.join(' + '));
  }
  expect(opening.sort()).toEqual(['archive + vault + recovery key', 'database + vault + recovery key']);
  expect(await whatOpens(loot, holdings)).toBe('bodies, fields, tokens');
});

/** The matrix of docs/custody.md. */
async function documented(): Promise<Record<string, Record<string, string>>> {
  const text = await readFile(new URL('../../docs/custody.md', import.meta.url), 'utf8');
  const lines = text.split('\n');
  const start = lines.findIndex((line) => /^\| holds +\| database/.test(line));
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('*', ''));
  const [, ...columns] = cells(lines[start] ?? '');
  const rows = lines.slice(start + 2, start + 2 + holdings.length).map(cells);
  return Object.fromEntries(
    rows.map(([name = '', ...values]) => [
      name,
      Object.fromEntries(columns.map((column, i) => [column, values[i] ?? '?'])),
    ]),
  );
}

/** Four days of logins, on the topic and in the table; two of the days archived, two shredded. */
async function fill(pipeline: Pipeline, child: WriterProcess): Promise<void> {
  const config = { VAULT_URL: pipeline.env['VAULT_URL'] ?? '' };
  const keeper = await openKeyKeeper(config);
  for (const day of [days.archived, days.shreddedLive]) {
    const clock = () => Date.parse(`${day}T12:00:00Z`);
    await maintainDays({ database: pipeline.admin, keeper, tables: ['user_logins'], clock });
  }
  const transit = new TransitSealer(await openTransitKeys(config));
  const records = [];
  for (const { eventId, sentAtMs, ip, device, kind } of logins) {
    await transit.prepare(dayOf(sentAtMs));
    const body = { user_id: kind, app_version: '2.3.0', device_type: 'ios', ip, device_id: device };
    const value = transit.seal(Buffer.from(JSON.stringify(body)), { eventId, sentAtMs });
    if (value === undefined) throw new Error('no transit key');
    records.push({ kind, key: Buffer.from(eventId), value, timestampMs: sentAtMs });
  }
  const producer = createRecordProducer(testKafkaClient(pipeline.kafkaBrokers));
  for (const ack of await producer.send(pipeline.rawTopic, [{ partition: 0, records }])) {
    if ('error' in ack) throw ack.error;
  }
  await producer.close();

  const past = records.filter(({ kind }) => kind !== 'live');
  using writer = new TestWriter({
    connection: pipeline.database.open('writer'),
    vault: { ...(await openTransitKeys(config)), ...(await openPeppers(config)) },
    clock: Date.now,
  });
  await writer.write(
    past.map(({ key, value, timestampMs }, i) => ({
      key,
      value,
      timestampMs,
      offset: BigInt(i),
      headers: {},
    })),
  );
  const live = records.filter(({ kind }) => kind === 'live');
  await child.send({
    records: live.map(({ key, value, timestampMs }) => ({
      key: key.toString(),
      value: value.toString('base64'),
      timestampMs,
    })),
  });
  const { rows } = await pipeline.admin.execute(sql`select from user_logins`);
  expect(rows).toHaveLength(logins.length);

  for (const day of [days.archived, days.shreddedArchived]) {
    const archived = await pipeline.run('archive', '--older-than', '90d', '--day', day);
    expect(archived).toMatchObject({ code: 0, stderr: '' });
  }
  for (const day of [days.shreddedLive, days.shreddedArchived]) {
    const order = ['--day', day, '--reason', 'test', '--ticket', 'T-1'];
    expect(await pipeline.run('shred', ...order)).toMatchObject({ code: 0, stderr: '' });
  }
}

interface StoredRow extends Record<string, unknown> {
  readonly day: Day;
  readonly event_id: string;
  readonly ip_sealed: Buffer | null;
  readonly device_id_sealed: Buffer | null;
  readonly masked_ip: string | null;
  readonly masked_device_id: string | null;
}

function rowsLoot(rows: readonly StoredRow[]): Pick<Loot, 'fields' | 'tokens'> {
  return {
    fields: rows.flatMap((row) =>
      (['ip_sealed', 'device_id_sealed'] as const).flatMap((column) => {
        const sealed = row[column];
        const cell = { table: userLogins.name, column, day: row.day, eventId: row.event_id };
        return sealed === null ? [] : [{ cell, sealed }];
      }),
    ),
    tokens: rows.flatMap((row) =>
      userLogins.personalFields.flatMap(({ field, maskedColumn }) => {
        const token = row[maskedColumn];
        return typeof token === 'string' ? [{ field, token, day: row.day }] : [];
      }),
    ),
  };
}

async function databaseLoot(pipeline: Pipeline): Promise<Loot> {
  const { rows } = await pipeline.admin.execute<StoredRow>(sql`
    select create_date::text as day, event_id, ip_sealed, device_id_sealed, masked_ip, masked_device_id from user_logins`);
  const { rows: deks } = await pipeline.admin.execute<{ sealed_dek: Buffer }>(
    sql`select sealed_dek from data_keys`,
  );
  const { rows: keys } = await pipeline.admin.execute<{ public_key: Buffer }>(
    sql`select public_key from day_keys`,
  );
  return {
    ...rowsLoot(rows),
    boxes: deks.map(({ sealed_dek }) => sealed_dek),
    keys: keys.map(({ public_key }) => public_key),
  };
}

async function topicsLoot(pipeline: Pipeline): Promise<Loot> {
  const records = [
    ...(await readAll(pipeline.kafkaBrokers, pipeline.rawTopic)),
    ...(await readAll(pipeline.kafkaBrokers, pipeline.deadLetterTopic)),
  ];
  expect(records.length).toBeGreaterThanOrEqual(logins.length);
  return {
    bodies: records.map((record) => {
      const identity = identityOf(record);
      if (identity === undefined) throw new Error('a record without identity');
      return { identity, value: record.value };
    }),
  };
}

async function archiveLoot(pipeline: Pipeline): Promise<Loot> {
  const rows: StoredRow[] = [];
  const boxes: Buffer[] = [];
  for (const file of await filesIn(join(pipeline.directory, 'archive'))) {
    if (!file.endsWith('.csv.zst')) continue;
    for (const record of csv(zstdDecompressSync(await readFile(file)).toString())) {
      const sealedDek = record['sealed_dek'];
      if (typeof sealedDek === 'string') {
        boxes.push(bytes(sealedDek) ?? Buffer.alloc(0));
        continue;
      }
      rows.push({
        day: record['create_date'] ?? '',
        event_id: record['event_id'] ?? '',
        ip_sealed: bytes(record['ip_sealed']),
        device_id_sealed: bytes(record['device_id_sealed']),
        masked_ip: record['masked_ip'] ?? null,
        masked_device_id: record['masked_device_id'] ?? null,
      });
    }
  }
  expect(new Set(rows.map(({ day }) => day))).toEqual(new Set([days.archived, days.shreddedArchived]));
  expect(boxes.length).toBeGreaterThan(0);
  return { ...rowsLoot(rows), boxes };
}

/** Comma-separated, nothing quoted: as these rows are. An empty field is null. */
function csv(text: string): Record<string, string | undefined>[] {
  expect(text).not.toContain('"');
  const [header = '', ...lines] = text.trimEnd().split('\n');
  const names = header.split(',');
  return lines.map((line) => {
    const values = line.split(',');
    return Object.fromEntries(names.map((name, i) => [name, values[i] === '' ? undefined : values[i]]));
  });
}

function bytes(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text.slice('\\x'.length), 'hex');
}

/** Everything in the vault's directory, each file a key or a box by its length. */
async function vaultLoot(pipeline: Pipeline): Promise<Loot> {
  const files = await Promise.all(
    (await filesIn(join(pipeline.directory, 'vault'))).map((file) => readFile(file)),
  );
  const boxes = files.filter(({ length }) => length === 80);
  const keys = files.filter(({ length }) => length === 32);
  expect(boxes.length + keys.length).toBe(files.length);
  expect(boxes.length).toBeGreaterThan(22);
  return { boxes, keys };
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Every secret there is, to look for in memory. */
async function everySecret(pipeline: Pipeline): Promise<Buffer[]> {
  const { VAULT_URL = '', VAULT_RECOVERY_KEY_FILE = '' } = pipeline.env;
  const { keys = [] } = await vaultLoot(pipeline);
  const secrets = [...keys, await readFile(VAULT_RECOVERY_KEY_FILE)];
  const privateKeys = await openDayPrivateKeys({ VAULT_URL }, VAULT_RECOVERY_KEY_FILE);
  const { rows } = await pipeline.admin.execute<{ day: Day; public_key: Buffer; sealed_dek: Buffer | null }>(
    sql`select day_keys.day::text, public_key, sealed_dek from day_keys left join data_keys using (day)`,
  );
  for (const { day, public_key, sealed_dek } of rows) {
    const privateKey = await privateKeys.dayPrivateKey(day, public_key);
    if (privateKey === undefined) continue;
    secrets.push(privateKey);
    const dek =
      sealed_dek === null ? undefined : openSealed(sealed_dek, { publicKey: public_key, privateKey });
    if (dek !== undefined) secrets.push(dek);
  }
  return secrets;
}

/** Those of the secrets that a process has anywhere in its writable memory. */
async function memoryLoot(pid: number, secrets: readonly Buffer[]): Promise<Loot> {
  const found = new Set<Buffer>();
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8');
  await using memory = await open(`/proc/${pid}/mem`, 'r');
  for (const [, from = '', to = ''] of maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
    const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
    // Chunks overlap by a key's length; pages that cannot be read (guards) hold nothing.
    for (let at = start; at < end; at += chunkBytes - 32) {
      const chunk = Buffer.alloc(Math.min(chunkBytes, end - at));
      const { bytesRead } = await memory.read(chunk, 0, chunk.length, at).catch(() => ({ bytesRead: 0 }));
      const read = chunk.subarray(0, bytesRead);
      for (const secret of secrets) if (read.includes(secret)) found.add(secret);
    }
  }
  return { keys: [...found] };
}
const chunkBytes = 1_048_576;

interface WriterProcess extends AsyncDisposable {
  readonly pid: number;
  send(command: object): Promise<void>;
}

async function startWriter(pipeline: Pipeline): Promise<WriterProcess> {
  const script = new URL('thief-writer.ts', import.meta.url).pathname;
  const { VAULT_URL = '', DATABASE_URL = '' } = pipeline.env;
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [script], {
    env: { VAULT_URL, DATABASE_URL },
    stdio: 'pipe',
  });
  child.stderr.pipe(process.stderr);
  await once(child, 'spawn');
  const ended = once(child, 'exit');
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid ?? 0,
    async send(command) {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      expect((await answers.next()).value).toBe('done');
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}
