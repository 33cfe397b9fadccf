import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { restoreDay } from '../../../db/archive/restore-day.ts';
import { verifyChain } from '../../../services/audit/verify.ts';
import { recoverEvent } from '../../../services/recover/recover.ts';
import { shredDay, type ShreddedDay } from '../../../services/shred/shred-day.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { addDays, type Day } from '../../../shared/time.ts';
import { TestWriter } from '../../helpers/writer.ts';
import { maintainAround } from '../recover/fixtures.ts';
import { Crash, CrashPoint, Custody, purpose, today } from './fixtures.ts';
import { archivedContents, archivedManifest } from './stored-archive.ts';

const day = addDays(today, -3);
const other = addDays(today, -2);
/** Before the horizon: no connector needs its transit key any more. */
const old = addDays(today, -16);

let custody: Custody;
beforeEach(async () => {
  custody = await Custody.create(inject('postgresAdminUrl'));
});
afterEach(() => custody[Symbol.asyncDispose]());

async function shredded(of: Day, more = {}): Promise<ShreddedDay> {
  const outcome = await shredDay(custody.parts(more), of, purpose);
  if ('refused' in outcome) throw new Error(outcome.refused);
  return outcome;
}

async function orders(): Promise<{ scope: string; day: string; finished: boolean; proof: unknown }[]> {
  const { rows } = await custody.admin.execute<{
    scope: string;
    day: string;
    finished: boolean;
    proof: unknown;
  }>(
    sql`select scope, to_char(day, 'YYYY-MM-DD') as day, finished_at is not null as finished, proof from shreds order by id`,
  );
  return rows;
}

/** Keys of `day` are gone wherever one can lie, tokens wherever a row can lie. */
async function nothingLeftOf(of: Day): Promise<void> {
  expect(await custody.privateKeys(of)).toBe(0);
  expect(await custody.tokens(of)).toMatchObject({ tokens: 0 });
  const { rows } = await custody.admin.execute<{ destroyed: boolean }>(
    sql`select destroyed_at is not null as destroyed from day_keys where day = ${of}`,
  );
  expect(rows).toEqual([{ destroyed: true }]);
}

/** A day before the horizon, with its partition, keys and rows from when it was inside. */
async function storeOld(count: number) {
  await maintainAround(custody.admin, custody.vault, addDays(today, -10));
  return custody.store(Array.from({ length: count }, () => ({ day: old })));
}

describe('a day in the table', () => {
  test('opens no more, joins no more, and keeps its rows', async () => {
    const [stored] = await custody.store([...Array.from({ length: 12 }, () => ({ day })), { day: other }]);
    const report = await shredded(day);
    await nothingLeftOf(day);
    expect(await custody.tokens(day)).toEqual({ rows: 12, tokens: 0, sealed: 12 });
    expect(report).toMatchObject({
      day,
      already: false,
      accessId: '1',
      privateKeysDestroyed: 1,
      rowsCleared: 12,
      proof: {
        privateKeysLeft: 0,
        dataKeys: 1,
        table: { rows: 12, withTokens: 0 },
        archive: null,
        transitKey: { until: addDays(day, 14) },
      },
      bodiesReadableUntil: addDays(day, 14),
    });
    expect(await orders()).toEqual([{ scope: 'day', day, finished: true, proof: report.proof }]);
    expect(await custody.accessLog()).toEqual([{ action: 'shred', subject: `day:${day}`, ...purpose }]);
    // The connector needs it: inside the horizon a missing transit key is an outage.
    expect(await custody.vault.transitDays()).toContain(day);

    const door = { connection: custody.database.open('recoverer'), keys: custody.vault, stream: userLogins };
    const opened = recoverEvent(door, { eventId: stored?.eventId ?? '', day }, purpose);
    await expect(opened).rejects.toMatchObject({
      code: 'KEY_DESTROYED',
      message: expect.stringMatching(/2026-11-21 was shredded on \d{4}-\d\d-\d\d \(ticket PRIV-12\)/),
    });
  });

  test('its neighbours stay as they were', async () => {
    const stored = await custody.store([{ day }, { day: other, ip: '198.51.100.7' }]);
    await shredded(day);
    expect(await custody.tokens(other)).toEqual({ rows: 1, tokens: 1, sealed: 1 });
    expect((await custody.vault.dayKeys()).length).toBe(21);
    const door = { connection: custody.database.open('recoverer'), keys: custody.vault, stream: userLogins };
    const [, kept] = stored;
    const { event } = await recoverEvent(door, { eventId: kept?.eventId ?? '', day: other }, purpose);
    expect(event.personal).toMatchObject({ ip: '198.51.100.7' });
  });

  test('whose window between token epochs is open loses the tokens of both', async () => {
    await custody.store([{ day }]);
    await custody.admin.execute(
      sql`update user_logins set masked_ip_prior = 't0:x', masked_device_id_prior = 't0:y', masked_ip = null`,
    );
    expect((await shredded(day)).rowsCleared).toBe(1);
    await nothingLeftOf(day);
  });

  test('more rows than fit a page', async () => {
    await custody.store(Array.from({ length: 11_003 }, () => ({ day })));
    const seen: number[] = [];
    const report = await shredded(day, {
      onProgress: (rows: number, total: number) => seen.push(rows, total),
    });
    expect(report.rowsCleared).toBe(11_003);
    expect(seen).toEqual([5_000, 11_003, 5_000, 11_003, 1_003, 11_003]);
    await nothingLeftOf(day);
  });

  test('before the horizon loses its transit key too', async () => {
    await storeOld(3);
    expect(await custody.vault.transitDays()).toContain(old);
    const report = await shredded(old);
    expect(await custody.vault.transitDays()).not.toContain(old);
    expect(report).toMatchObject({ proof: { transitKey: 'destroyed' }, bodiesReadableUntil: null });
  });

  test('is written to no more', async () => {
    const writer = new TestWriter({
      connection: custody.database.open('writer'),
      vault: custody.vault,
      clock: custody.clock,
    });
    await using _ = writer;
    const sentAtMs = Date.parse(`${day}T10:00:00Z`);
    await writer.writeLogins([{ sentAtMs }]);
    await shredded(day);
    custody.today = addDays(today, 1); // another minute, and more
    await writer.writeLogins([{ sentAtMs }]);
    expect(writer.deadCodes).toEqual(['DAY_SHREDDED']);
    expect(await custody.tokens(day)).toMatchObject({ rows: 1, tokens: 0 });
  });
});

describe('a day in the archive', () => {
  beforeEach(async () => {
    await storeOld(40);
    await custody.archive(old);
  });

  test('loses its tokens there, and nothing else', async () => {
    const before = await archivedContents(custody.place, old);
    const rowsBefore = before.get(`user_logins/${old}/rows.csv.zst`) ?? '';
    expect(rowsBefore.match(/t1:/g)).toHaveLength(80);
    const report = await shredded(old);
    expect(await custody.privateKeys(old)).toBe(0);
    const after = await archivedContents(custody.place, old);
    expect([...after.values()].join('')).not.toMatch(/t1:/);
    expect([...after.keys()].toSorted()).toEqual([
      `user_logins/${old}/data-keys.csv.zst`,
      `user_logins/${old}/manifest.json`,
      `user_logins/${old}/rows.2.csv.zst`,
    ]);
    expect(after.get(`user_logins/${old}/rows.2.csv.zst`)).toBe(
      rowsBefore.replaceAll(/t1:[A-Za-z0-9_+/=-]+/g, ''),
    );
    const { manifest, sha256 } = await archivedManifest(custody.place, old);
    expect(manifest).toMatchObject({
      tokenEpochs: [],
      objects: { rows: { name: 'rows.2.csv.zst', rows: 40 } },
    });
    expect(report).toMatchObject({
      archivedTokensCleared: 80,
      proof: { table: null, archive: { rows: 40, tokens: 0, manifestSha256: sha256.toString('hex') } },
    });
    const { rows } = await custody.admin.execute(
      sql`select manifest_sha256, tokens_cleared_at is not null as cleared, bytes::integer from archives`,
    );
    const { objects } = manifest;
    expect(rows).toEqual([
      { manifest_sha256: sha256, cleared: true, bytes: objects.rows.bytes + objects.dataKeys.bytes },
    ]);
  });

  test('is not touched while the archive is out of reach of the setting', async () => {
    const attempt = shredDay(custody.parts({ place: undefined }), old, purpose);
    await expect(attempt).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      detail: expect.stringContaining('ARCHIVE_URL'),
    });
    expect(await orders()).toEqual([]);
    expect(await custody.accessLog()).toEqual([]);
    expect(await custody.privateKeys(old)).toBe(1);
  });

  test('whose manifest is not the one that was written is not taken for cleared', async () => {
    await custody.admin.execute(sql`update archives set manifest_sha256 = decode(repeat('00', 32), 'hex')`);
    await expect(shredDay(custody.parts(), old, purpose)).rejects.toMatchObject({ code: 'ARCHIVE_DAMAGED' });
    expect(await orders()).toMatchObject([{ finished: false }]);
    // The keys went first: what cannot be cleared can at least not be opened.
    expect(await custody.privateKeys(old)).toBe(0);
  });

  test.for(['detaching', 'writing', 'moving_key', 'dropping', 'restoring'])(
    'half-way (%s): its keys go at once, its tokens when it has arrived',
    async (state) => {
      await custody.admin.execute(sql`update archives set state = ${state}`);
      const outcome = await shredDay(custody.parts(), old, purpose);
      expect(outcome).toEqual({ refused: expect.stringContaining(`half-way (${state})`) });
      expect(await custody.privateKeys(old)).toBe(0);
      expect(await orders()).toMatchObject([{ finished: false, proof: null }]);
      await custody.admin.execute(sql`update archives set state = 'archived'`);
      expect(await shredded(old)).toMatchObject({ already: false, archivedTokensCleared: 80 });
    },
  );
});

describe('a day that was being restored', () => {
  beforeEach(async () => {
    await storeOld(40);
    await custody.archive(old);
  });

  const restore = () =>
    custody.admin.withSession((connection) => restoreDay(custody.archivist(), connection, old, 7));

  /** Cut off once its rows are loaded into a table of their own, or once that is attached. */
  async function cutOff(at: 'loaded' | 'attached'): Promise<void> {
    const statement = at === 'loaded' ? 'attach partition' : 'drop constraint';
    await custody.admin.execute(
      sql.raw(`create function crash() returns event_trigger language plpgsql as
        $$ begin if current_query() ~ '${statement}' then raise exception 'crash' using errcode = '57P01'; end if; end $$`),
    );
    await custody.admin.execute(
      sql`create event trigger crash on ddl_command_start when tag in ('ALTER TABLE') execute function crash()`,
    );
    await expect(restore()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await custody.admin.execute(sql`drop event trigger crash`);
    const { rows } = await custody.admin.execute(sql`select state from archives`);
    expect(rows).toEqual([{ state: 'restoring' }]);
  }

  test.for(['loaded', 'attached'] as const)(
    'and was %s: its keys go at once, its tokens once restoring has been taken back',
    async (at) => {
      await cutOff(at);
      const outcome = await shredDay(custody.parts(), old, purpose);
      expect(outcome).toEqual({ refused: expect.stringContaining(`"sluice restore --day ${old}"`) });
      await expect(restore()).rejects.toMatchObject({
        code: 'KEY_DESTROYED',
        detail: expect.stringMatching(/was shredded on .* \(ticket PRIV-12\)$/),
      });
      expect(await shredded(old)).toMatchObject({ already: false, archivedTokensCleared: 80 });
      await nothingLeftOf(old);
      await expect(restore()).rejects.toMatchObject({ code: 'KEY_DESTROYED' });
      const { rows } = await custody.admin.execute<{ table: string | null }>(
        sql`select to_regclass(${`user_logins_${old.replaceAll('-', '')}`})::text as table`,
      );
      expect(rows[0]?.table === null).toBe(at === 'loaded');
    },
  );

  test('and is back: is cleared in both places, and goes into the archive again without a key', async () => {
    await restore();
    expect(await shredded(old)).toMatchObject({ rowsCleared: 40, archivedTokensCleared: 80 });
    await nothingLeftOf(old);
    await custody.archive(old);
    expect([...(await archivedContents(custody.place, old)).values()].join('')).not.toMatch(/t1:/);
    expect(await shredded(old)).toMatchObject({ already: true });
  });
});

describe('a second run', () => {
  test('says when it was done, destroys nothing and writes nothing', async () => {
    await custody.store([{ day }]);
    const first = await shredded(day);
    const second = await shredDay(custody.parts(), day, { reason: 'again', ticket: 'PRIV-13' });
    expect(second).toEqual({
      scope: 'day',
      day,
      order: first.order,
      ticket: 'PRIV-12',
      orderedAt: first.orderedAt,
      finishedAt: first.finishedAt,
      already: true,
      privateKeysDestroyed: 0,
      rowsCleared: 0,
      archivedTokensCleared: 0,
      proof: first.proof,
      bodiesReadableUntil: addDays(day, 14),
    });
    expect(await custody.accessLog()).toHaveLength(1);
  });

  test('shreds again what has come back with a backup of the vault', async () => {
    await custody.store([{ day }]);
    const backup = new Map(custody.vault.store.secrets);
    const first = await shredded(day);
    for (const [name, secret] of backup) custody.vault.store.secrets.set(name, secret);
    expect(await custody.privateKeys(day)).toBe(1);
    const second = await shredDay(custody.parts(), day, { reason: 'vault put back', ticket: 'OPS-1' });
    expect(second).toMatchObject({
      already: false,
      privateKeysDestroyed: 1,
      order: first.order,
      proof: first.proof,
    });
    await nothingLeftOf(day);
    expect((await custody.accessLog()).map(({ ticket }) => ticket)).toEqual(['PRIV-12', 'OPS-1']);
  });

  test('two at once: one shreds', async () => {
    await custody.store(Array.from({ length: 200 }, () => ({ day })));
    const outcomes = await Promise.all([
      shredded(day),
      shredded(day, { database: custody.database.open('shredder', { max: 1 }) }),
    ]);
    expect(outcomes.filter(({ already }) => already)).toHaveLength(1);
    expect(await orders()).toHaveLength(1);
  });
});

describe('refused', () => {
  test('a day that never had a key', async () => {
    expect(await shredDay(custody.parts(), '2020-01-01', purpose)).toEqual({
      refused: '2020-01-01 has no key: nothing was ever sealed to it',
    });
    expect(await orders()).toEqual([]);
    expect(await custody.accessLog()).toEqual([]);
  });

  test.for([0, 1, 7])('today and %i days ahead: not over', async (ahead) => {
    const attempt = shredDay(custody.parts(), addDays(today, ahead), purpose);
    await expect(attempt).rejects.toMatchObject({ code: 'USAGE' });
    expect((await custody.vault.dayKeys()).length).toBe(22);
    expect(await custody.accessLog()).toEqual([]);
  });

  test('a vault that does not answer leaves the order, and the next run finishes it', async () => {
    await custody.store([{ day }]);
    const failing = new CrashPoint(0, 'before');
    const destroyer = failing.wrap(custody.parts()).destroyer;
    await expect(shredDay(custody.parts({ destroyer }), day, purpose)).rejects.toThrow(Crash);
    expect(await orders()).toMatchObject([{ finished: false }]);
    expect(await shredded(day)).toMatchObject({ already: false });
    await nothingLeftOf(day);
  });
});

/** An undisturbed run counts the calls; each is a place to die at, before and after it took effect. A day each, all before the horizon. */
describe('a run that is cut off anywhere is finished by the next', () => {
  async function everyPoint(prepare: (of: Day) => Promise<void>): Promise<number> {
    for (const back of [30, 52, 74, 96, 118]) {
      await maintainAround(custody.admin, custody.vault, addDays(today, -back));
    }
    let of = addDays(today, -22);
    async function cutOff(at: number, when: 'before' | 'after'): Promise<number> {
      of = addDays(of, -1);
      await custody.store(Array.from({ length: 20 }, () => ({ day: of })));
      await prepare(of);
      const crash = new CrashPoint(at, when);
      const before = await custody.accessLog();
      const error = await shredDay(crash.wrap(custody.parts()), of, purpose).catch(
        (thrown: unknown) => thrown,
      );
      if (at >= 0) expect(error).toBeInstanceOf(Crash);
      const order = (await orders()).find((one) => one.day === of);
      const entered = (await custody.accessLog()).length - before.length;
      // Nothing is destroyed before the order and its entry are there, and neither is without the other.
      expect(entered).toBe(order === undefined ? 0 : 1);
      if (order === undefined) expect(await custody.privateKeys(of)).toBe(1);
      const report = await shredded(of);
      await nothingLeftOf(of);
      expect((await orders()).find((one) => one.day === of)).toMatchObject({
        finished: true,
        proof: report.proof,
      });
      expect(await custody.vault.transitDays()).not.toContain(of);
      return crash.calls;
    }
    const points = await cutOff(-1, 'before');
    for (let at = 0; at < points; at++) {
      await cutOff(at, 'before');
      await cutOff(at, 'after');
    }
    return points;
  }

  test('a day in the table', async () => {
    expect(await everyPoint(async () => {})).toBeGreaterThan(15);
  });

  test('a day in the archive', async () => {
    const days: Day[] = [];
    const points = await everyPoint(async (of) => {
      days.push(of);
      await custody.archive(of);
    });
    expect(points).toBeGreaterThan(20);
    for (const of of days) {
      const contents = await archivedContents(custody.place, of);
      expect(contents.size).toBe(3);
      expect([...contents.values()].join('')).not.toMatch(/t1:/);
    }
  });
});

test('the log of what was shredded is a chain', async () => {
  await custody.store([{ day }, { day: other }]);
  await shredded(day);
  await shredded(other);
  expect(await verifyChain(custody.database.open('operator'), [])).toMatchObject({ finding: undefined });
});
