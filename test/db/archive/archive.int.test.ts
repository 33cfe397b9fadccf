import { mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import {
  archiveDays,
  archiveOneDay,
  daysToArchive,
  lastDayOlderThan,
} from '../../../db/archive/archive-days.ts';
import type { ArchiveParts } from '../../../db/archive/parts.ts';
import { partitionName } from '../../../db/partition-name.ts';
import { beginArchive } from '../../../db/queries/change-archive.ts';
import { detachPartition } from '../../../db/queries/detach-partition.ts';
import { restoreDay } from '../../../db/archive/restore-day.ts';
import type { Database, PinnedConnection } from '../../../db/client.ts';
import { withCustodyLock } from '../../../db/locks.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { filePlace } from '../../../shared/archive/file-place.ts';
import type { ArchivePlace } from '../../../shared/archive/place.ts';
import { userLogins, type UserLogin } from '../../../shared/streams/user-logins.ts';
import { addDays, dayOf } from '../../../shared/time.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { TestWriter } from '../../helpers/writer.ts';

const today = dayOf(Date.now());
const day = addDays(today, -100);
const noon = Date.parse(`${day}T12:00:00Z`);
const partition = `user_logins_${day.replaceAll('-', '')}`;

let database: TestDatabase;
let admin: Database;
let vault: FakeVault;
let directory: string;
let place: ArchivePlace;

beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
  vault = new FakeVault();
  directory = await mkdtemp(join(tmpdir(), 'archive-'));
  place = filePlace(directory);
  for (const at of [noon, Date.now()]) {
    await maintainDays({ database: admin, keeper: vault, tables: ['user_logins'], clock: () => at });
  }
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

function parts(changed: Partial<ArchiveParts<UserLogin>> = {}): ArchiveParts<UserLogin> {
  return { database: admin, stream: userLogins, place, mover: vault, ...changed };
}

const archive = (changed?: Partial<ArchiveParts<UserLogin>>) => archiveOneDay(parts(changed), day);

function restore(changed: Partial<ArchiveParts<UserLogin>> = {}, keepDays = 7) {
  const all = parts(changed);
  return all.database.withSession((connection) =>
    withCustodyLock(connection, () => restoreDay(all, connection, day, keepDays)),
  );
}

/** Rows as the writer makes them, and some that only a hand could: everything that CSV might trip over. */
async function fill(count = 20): Promise<void> {
  using writer = new TestWriter({ connection: database.open('writer'), vault, clock: Date.now });
  await writer.writeLogins(
    Array.from({ length: count }, (_, i) => ({
      sentAtMs: noon + i,
      userId: ['u-1', 'a "quoted", name', 'line\nbreak\r\n', 'Ünïcödé 📱', '\\.', '\\N', ' '][i % 7] ?? '',
      deviceId: `d-${i}`,
    })),
  );
  await admin.execute(sql`update user_logins set locale = '' where user_id = 'u-1' and create_date = ${day}`);
  await admin.execute(
    sql`update user_logins set masked_ip_prior = 't9:AAAAAAAAAAAAAAAAAAAAAA' where user_id = ' ' and create_date = ${day}`,
  );
  await admin.execute(sql`update user_logins set masked_ip = null, masked_device_id = null, ip_sealed = null,
    device_id_sealed = null where user_id = '\\N' and create_date = ${day}`);
}

/** Every row of the day as text, in order: equal texts are equal rows. */
async function rowsOf(table = 'user_logins'): Promise<string[]> {
  const { rows } = await admin.execute<{ line: string }>(
    sql`select r::text as line from ${sql.identifier(table)} r where create_date = ${day} order by event_id`,
  );
  return rows.map(({ line }) => line);
}

async function stateOf(): Promise<string | undefined> {
  const { rows } = await admin.execute<{ state: string }>(sql`select state from archives where day = ${day}`);
  return rows[0]?.state;
}

const placesOf = async () => (await vault.dayKeys()).filter((key) => key.day === day).map((key) => key.place);

async function tableExists(): Promise<boolean> {
  const { rows } = await admin.execute<{ there: boolean }>(
    sql`select to_regclass(${partition}) is not null as there`,
  );
  return rows[0]?.there === true;
}

const filesHere = async () =>
  (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();

describe('there and back', () => {
  test('a day leaves the database with its key, and comes back byte for byte', async () => {
    await fill();
    const before = await rowsOf();
    expect(before).toHaveLength(20);
    const archived = await archive();
    expect(archived).toMatchObject({ day, rows: 20, already: false, location: place.url });
    expect(await tableExists()).toBe(false);
    expect(await rowsOf()).toEqual([]);
    expect(await stateOf()).toBe('archived');
    expect(await placesOf()).toEqual(['archive']);
    expect(await filesHere()).toEqual(['data-keys.csv.zst', 'manifest.json', 'rows.csv.zst']);

    expect(await restore()).toMatchObject({ day, rows: 20, location: place.url, erased: 0, already: false });
    expect(await rowsOf()).toEqual(before);
    expect(await stateOf()).toBe('restored');
    expect(await placesOf()).toEqual(['day']);
    const { rows: checks } = await admin.execute(
      sql`select conname from pg_constraint where conrelid = ${partition}::regclass and contype = 'c'`,
    );
    expect(checks).toEqual([]);
  });

  test('each again changes nothing, and a second archive of a restored day is the first', async () => {
    await fill();
    const first = await archive();
    const bytes = await readFile(join(directory, 'user_logins', day, 'rows.csv.zst'));
    expect(await archive()).toMatchObject({
      rows: 20,
      bytes: first.bytes,
      location: place.url,
      already: true,
    });
    await restore();
    expect(await restore()).toMatchObject({ already: true });
    expect(await archive()).toMatchObject({ rows: 20, already: false });
    const name = (await filesHere()).find((file) => file.startsWith('rows')) ?? '';
    expect(await readFile(join(directory, 'user_logins', day, name))).toEqual(bytes);
    expect(await filesHere()).toHaveLength(3);
    await restore();
    expect(await rowsOf()).toHaveLength(20);
  });

  test('an empty day', async () => {
    expect(await archive()).toMatchObject({ rows: 0 });
    expect(await restore()).toMatchObject({ rows: 0 });
    expect(await placesOf()).toEqual(['day']);
  });

  test('into a database that knows nothing of it', async () => {
    await fill();
    const before = await rowsOf();
    await archive();
    await admin.execute(sql`delete from archives`);
    await admin.execute(sql`delete from data_keys`);
    await admin.execute(sql`delete from day_keys where day = ${day}`);
    expect(await restore()).toMatchObject({ rows: 20 });
    expect(await rowsOf()).toEqual(before);
    const { rows } = await admin.execute<{ joined: string }>(
      sql`select count(*) as joined from user_logins join data_keys using (dek_id) join day_keys on day_keys.day = create_date`,
    );
    expect(rows[0]?.joined).toBe('20');
    using writer = new TestWriter({ connection: database.open('writer'), vault, clock: Date.now });
    await writer.writeLogins([{ sentAtMs: Date.now() }]);
  });

  test('a restored day takes a row that was refused before', async () => {
    await fill();
    await archive();
    using writer = new TestWriter({ connection: database.open('writer'), vault, clock: Date.now });
    await writer.writeLogins([{ sentAtMs: noon + 500 }]);
    expect(writer.deadCodes).toEqual(['PARTITION_ARCHIVED']);
    // Nobody wrote down that it left: found out by trying, and its neighbours go in.
    await admin.execute(sql`update archives set state = 'restored'`);
    using other = new TestWriter({ connection: database.open('writer'), vault, clock: Date.now });
    await other.writeLogins([{ sentAtMs: Date.now() }, { sentAtMs: noon + 500 }, { sentAtMs: Date.now() }]);
    expect(other.deadCodes).toEqual(['PARTITION_ARCHIVED']);
    const { rows: live } = await admin.execute(sql`select from user_logins where create_date = ${today}`);
    expect(live).toHaveLength(2);
    await admin.execute(sql`update archives set state = 'archived'`);
    await restore();
    await writer.writeLogins([{ sentAtMs: noon + 501 }]);
    expect(writer.deadCodes).toHaveLength(1);
    expect(await rowsOf()).toHaveLength(21);
  });
});

describe('what must not be', () => {
  test('users who were forgotten while it was away are forgotten in it, and the report says so', async () => {
    await fill();
    await archive();
    await admin.execute(
      sql`insert into shreds (scope, user_id, reason, ticket) values ('user', 'u-1', 'gdpr', 'T-1')`,
    );
    expect(await restore()).toMatchObject({ erased: 3 });
    const { rows } = await admin.execute(sql`select from user_logins where user_id = 'u-1'
      and num_nonnulls(masked_ip, masked_device_id, ip_sealed, device_id_sealed, masked_ip_prior) > 0`);
    expect(rows).toEqual([]);
    expect(await rowsOf()).toHaveLength(20);
  });

  test('a shredded day stays away, in one sentence', async () => {
    await fill();
    await archive();
    await admin.execute(
      sql`insert into shreds (scope, day, reason, ticket) values ('day', ${day}, 'r', 'T-7')`,
    );
    await expect(restore()).rejects.toMatchObject({
      code: 'KEY_DESTROYED',
      message: expect.stringMatching(new RegExp(`^${day} was shredded on ${today} \\(ticket T-7\\)\\.`)),
    });
    expect(await stateOf()).toBe('archived');
  });

  test.for(['rows.csv.zst', 'data-keys.csv.zst', 'manifest.json'] as const)(
    'a changed, shortened or missing %s is found before anything is changed',
    async (name) => {
      await fill();
      await archive();
      const file = join(directory, 'user_logins', day, name);
      const whole = await readFile(file);
      const untouched = async () => {
        await expect(restore()).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' });
        expect([await stateOf(), await tableExists(), await placesOf()]).toEqual([
          'archived',
          false,
          ['archive'],
        ]);
      };
      const flipped = Buffer.from(whole);
      flipped[Math.floor(whole.length / 2)] = (flipped[Math.floor(whole.length / 2)] ?? 0) ^ 1;
      await writeFile(file, flipped);
      await untouched();
      await writeFile(file, whole);
      await truncate(file, whole.length - 1);
      await untouched();
      await rm(file);
      await untouched();
      await writeFile(file, whole);
      expect(await restore()).toMatchObject({ rows: 20 });
    },
  );

  test('a key that the vault has lost stops the archive before the table goes', async () => {
    await fill();
    await vault.destroyDayKeys(day);
    await expect(archive()).rejects.toMatchObject({ code: 'ARCHIVE_CONFLICT' });
    expect(await tableExists()).toBe(true);
  });

  test('an archive that was lost while the run was cut off stops it before the table goes', async () => {
    await fill();
    await admin.execute(sql`alter table archives add constraint cut check (state <> 'dropping')`);
    await expect(archive()).rejects.toMatchObject({ code: 'DATABASE_REJECTED' });
    await admin.execute(sql`alter table archives drop constraint cut`);
    await truncate(join(directory, 'user_logins', day, 'rows.csv.zst'), 100);
    await expect(archive()).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' });
    expect(await rowsOf(partition)).toHaveLength(20);
    expect(await restore()).toMatchObject({ rows: 20 });
  });

  test('a day that is stuck does not keep the others', async () => {
    await fill();
    await vault.destroyDayKeys(day);
    const outcomes = new Map<string, string>();
    for await (const one of archiveDays(parts(), addDays(day, 1))) {
      outcomes.set(one.day, 'stuck' in one ? one.stuck.code : 'archived');
    }
    expect(outcomes.get(day)).toBe('ARCHIVE_CONFLICT');
    outcomes.delete(day);
    expect(outcomes.size).toBeGreaterThan(10);
    expect(new Set(outcomes.values())).toEqual(new Set(['archived']));
  });

  test('days that may still get rows are refused', () => {
    const clock = () => Date.parse('2026-11-24T12:00:00Z');
    expect(lastDayOlderThan(90, 21, clock)).toBe('2026-08-25');
    expect(() => lastDayOlderThan(21, 21, clock)).toThrow(/22 days/);
    expect(() => lastDayOlderThan(14, 1, clock)).toThrow(/15 days/);
  });
});

describe('a day that is half way out', () => {
  /** Archives until the day's entry is to go to a state, and dies there. */
  async function cutOffBefore(state: string): Promise<void> {
    await fill();
    await admin.execute(sql.raw(`alter table archives add constraint cut check (state <> '${state}')`));
    await expect(archive()).rejects.toMatchObject({ code: 'DATABASE_REJECTED' });
    await admin.execute(sql`alter table archives drop constraint cut`);
  }

  test.for(['writing', 'moving_key', 'dropping'] as const)(
    'before %s, comes back as it is',
    async (state) => {
      await cutOffBefore(state);
      const before = await rowsOf(partition);
      // It needs nothing of the archive.
      await rename(directory, `${directory}.away`);
      expect(await restore()).toMatchObject({ rows: 20, erased: 0, already: false });
      await rename(`${directory}.away`, directory);
      expect(await rowsOf()).toEqual(before);
      expect([await stateOf(), await placesOf()]).toEqual(['restored', ['day']]);
      const { rows: checks } = await admin.execute(
        sql`select conname from pg_constraint where conrelid = ${partition}::regclass and contype = 'c'`,
      );
      expect(checks).toEqual([]);
      await archive();
      expect(await restore()).toMatchObject({ rows: 20 });
      expect(await rowsOf()).toEqual(before);
    },
  );

  test('with its table gone, comes back from the archive', async () => {
    await cutOffBefore('archived');
    expect([await stateOf(), await tableExists()]).toEqual(['dropping', false]);
    expect(await restore()).toMatchObject({ rows: 20 });
    expect([await stateOf(), await placesOf()]).toEqual(['restored', ['day']]);
  });

  test('and forgets whom it must before it is seen', async () => {
    await cutOffBefore('dropping');
    await admin.execute(
      sql`insert into shreds (scope, user_id, reason, ticket) values ('user', 'u-1', 'gdpr', 'T-1')`,
    );
    expect(await restore()).toMatchObject({ erased: 3 });
  });
});

describe('what is here and nobody recorded', () => {
  test('a live day is not taken for an archived one, whatever lies in the place', async () => {
    await fill();
    await archive();
    await restore();
    await admin.execute(sql`delete from archives`);
    await expect(restore()).rejects.toMatchObject({ code: 'ARCHIVE_MISSING' });
    expect(await stateOf()).toBeUndefined();
    expect(await rowsOf()).toHaveLength(20);
  });

  test.for(['none', 'archived'] as const)('a table of its own is never dropped: entry %s', async (entry) => {
    await fill();
    await archive();
    await restore();
    await admin.execute(sql.raw(`alter table user_logins detach partition ${partition}`));
    await admin.execute(
      entry === 'none' ? sql`delete from archives` : sql`update archives set state = 'archived'`,
    );
    await expect(restore()).rejects.toMatchObject({ code: 'ARCHIVE_CONFLICT' });
    expect(await rowsOf(partition)).toHaveLength(20);
  });

  test('nor is one that was attached by hand, half way out', async () => {
    await fill();
    await archive();
    await restore();
    await admin.execute(sql`update archives set state = 'dropping'`);
    await expect(archive()).rejects.toMatchObject({ code: 'ARCHIVE_CONFLICT' });
    expect(await rowsOf()).toHaveLength(20);
    expect(await restore()).toMatchObject({ rows: 20 });
    expect(await stateOf()).toBe('restored');
  });

  test('another key of the day, which its cells do not open with', async () => {
    await fill();
    await archive();
    await admin.execute(sql`update day_keys set public_key = sha256('other') where day = ${day}`);
    await expect(restore()).rejects.toMatchObject({ code: 'ARCHIVE_CONFLICT' });
    expect(await tableExists()).toBe(false);
  });
});

test('a restored day is kept for as long as was last said', async () => {
  await fill();
  await archive();
  await restore({}, 1);
  await restore({}, 30);
  const { rows } = await admin.execute<{ kept: boolean }>(
    sql`select keep_until > now() + interval '29 days' as kept from archives where day = ${day}`,
  );
  expect(rows).toEqual([{ kept: true }]);
});

class Crash extends Error {}

/** Everything that archiving and restoring call, until call number `at`: then the process "dies", before or after it took effect. */
function crashing(at: number, when: 'before' | 'after') {
  let calls = 0;
  const dying = async <T>(work: () => Promise<T>): Promise<T> => {
    calls += 1;
    const here = calls === at;
    if (here && when === 'before') throw new Crash();
    const result = await work();
    if (here) throw new Crash();
    return result;
  };
  const changed: Partial<ArchiveParts<UserLogin>> = {
    database: {
      withSession: (work) =>
        admin.withSession((connection) => {
          const wrapped: PinnedConnection = {
            execute: (statement) => dying(() => connection.execute(statement)),
            transaction: (inside) => connection.transaction(() => inside(wrapped)),
            copyTo: (statement) => connection.copyTo(statement),
            copyFrom: (statement, content) => dying(() => connection.copyFrom(statement, content)),
          };
          return work(wrapped);
        }),
    },
    place: {
      url: place.url,
      put: (name, content) => dying(() => place.put(name, content)),
      get: (name) => dying(() => place.get(name)),
      list: (prefix) => dying(() => place.list(prefix)),
      remove: (name) => dying(() => place.remove(name)),
    },
    mover: { moveDayKeys: (on, to) => dying(() => vault.moveDayKeys(on, to)) },
  };
  return { changed, calls: () => calls };
}

describe('cut off at every call, the next run finishes', () => {
  test.for(['before', 'after'] as const)('%s it took effect', { timeout: 300_000 }, async (when) => {
    await fill(4);
    const before = await rowsOf();
    let at = 0;
    for (;;) {
      at += 1;
      const out = crashing(at, when);
      const cut = await archive(out.changed).then(
        () => false,
        (error: unknown) => {
          if (!(error instanceof Crash)) throw error;
          return true;
        },
      );
      if (cut) await archive();
      expect([await stateOf(), await tableExists(), await placesOf()]).toEqual([
        'archived',
        false,
        ['archive'],
      ]);
      expect(await filesHere()).toHaveLength(3);
      const back = crashing(at, when);
      const cutBack = await restore(back.changed).then(
        () => false,
        (error: unknown) => {
          if (!(error instanceof Crash)) throw error;
          return true;
        },
      );
      if (cutBack) await restore();
      expect(await rowsOf()).toEqual(before);
      expect([await stateOf(), await placesOf()]).toEqual(['restored', ['day']]);
      if (!cut && !cutBack) break;
    }
    expect(at).toBeGreaterThan(20);
  });
});

describe('while others are at work', () => {
  test('live rows go in, and old snapshots are waited for', async () => {
    await fill();
    const reader = database.open('analyst');
    const writerPool = database.open('writer');
    using writer = new TestWriter({ connection: writerPool, vault, clock: Date.now });
    let archiving: Promise<unknown> = Promise.resolve();
    await reader.transaction(async (session) => {
      await session.execute(sql`select count(masked_ip) from user_logins`);
      archiving = archive();
      archiving.catch(() => {});
      await admin.execute(sql`select pg_sleep(0.5)`);
      // The detach waits for the snapshot, and nobody waits for the detach.
      await writer.writeLogins([{ sentAtMs: Date.now() }]);
      const { rows } = await database
        .open('operator')
        .execute(sql`select from user_logins where create_date = ${today}`);
      expect(rows).toHaveLength(1);
      expect(await tableExists()).toBe(true);
    });
    expect(await archiving).toMatchObject({ rows: 20 });
  });

  test('a day whose detach was cut off stands in the way of no other', async () => {
    const other = addDays(day, 1);
    const reader = database.open('analyst');
    const cut = database.open('admin', { statementTimeoutMs: 300 });
    await reader.transaction(async (session) => {
      await session.execute(sql`select count(masked_ip) from user_logins`);
      const detach = detachPartition('user_logins', partitionName('user_logins', other));
      await expect(cut.execute(detach)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    });
    await admin.execute(beginArchive('user_logins', other, place.url));
    expect(await archive()).toMatchObject({ day, already: false });
    expect(await archiveOneDay(parts(), other)).toMatchObject({ day: other, already: false });
  });

  test('two at once archive it once', async () => {
    await fill();
    const reports = await Promise.all([archive(), archive({ database: database.open('admin') })]);
    expect(reports.filter(({ already }) => already)).toHaveLength(1);
  });

  test('every day that is due, and those that were begun; not what was restored for a while', async () => {
    await fill();
    const last = addDays(today, -91);
    const due = await daysToArchive(parts(), last);
    expect(due).toHaveLength(22);
    await archive();
    await restore();
    const done: string[] = [];
    for await (const one of archiveDays(parts(), last)) done.push(one.day);
    expect(done).toEqual(due.filter((one) => one !== day));
    await admin.execute(sql`update archives set keep_until = now() where day = ${day}`);
    expect(await daysToArchive(parts(), last)).toEqual([day]);
  });
});
