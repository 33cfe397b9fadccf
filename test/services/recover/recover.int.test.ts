import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../../db/client.ts';
import type { RecoveredEvent } from '../../../services/recover/open-row.ts';
import { EventNotFound, recoverEvent, type Door } from '../../../services/recover/recover.ts';
import {
  recoverRange,
  type RangeOptions,
  type RangeReport,
} from '../../../services/recover/recover-range.ts';
import { parseSelection, type RangeSelection } from '../../../services/recover/selection.ts';
import { userLogins, type UserLogin } from '../../../shared/streams/user-logins.ts';
import { addDays } from '../../../shared/time.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { maintainAround, storeLogins, type StoredLogin } from './fixtures.ts';

const day = '2026-11-24';
const next = addDays(day, 1);
const purpose = { reason: 'asked for', ticket: 'T-1' };

let database: TestDatabase;
let admin: Database;
let vault: FakeVault;
let door: Door<UserLogin>;
/** What was asked of the vault, with the number of entries that the log had by then. */
let asked: { day: string; entries: number }[];

beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
  vault = new FakeVault();
  await maintainAround(admin, vault, day);
  asked = [];
  const keys = {
    async dayPrivateKey(of: string, publicKey: Buffer) {
      const { rows } = await admin.execute<{ count: string }>(sql`select count(*) from access_log`);
      asked.push({ day: of, entries: Number(rows[0]?.count) });
      return vault.dayPrivateKey(of, publicKey);
    },
  };
  door = { connection: database.open('recoverer', { max: 1 }), keys, stream: userLogins };
});
afterEach(() => database[Symbol.asyncDispose]());

async function subjects(): Promise<string[]> {
  const { rows } = await admin.execute<{ subject: string }>(sql`select subject from access_log order by id`);
  return rows.map(({ subject }) => subject);
}

function rangeOf(options: Parameters<typeof parseSelection>[0]): RangeSelection {
  const selection = parseSelection({ from: addDays(day, -3), to: addDays(day, 3), ...options });
  if ('eventId' in selection) throw new Error('not a range');
  return selection;
}

async function recoverAll(
  options: Parameters<typeof parseSelection>[0],
  more: Partial<RangeOptions> = {},
): Promise<{ events: RecoveredEvent[]; report: RangeReport }> {
  const events: RecoveredEvent[] = [];
  const deliver = async (page: readonly RecoveredEvent[]) => void events.push(...page);
  const report = await recoverRange(door, rangeOf(options), purpose, { deliver, ...more });
  return { events, report };
}

function plain(events: readonly RecoveredEvent[]) {
  return events.map(({ eventId, personal }) => ({
    eventId,
    ip: personal['ip'],
    device: personal['device_id'],
  }));
}

function expected(logins: readonly StoredLogin[]) {
  return logins.map(({ eventId, ip, deviceId }) => ({ eventId, ip, device: deviceId }));
}

describe('one event', () => {
  test('is opened after its entry, which is the head', async () => {
    const [login] = await storeLogins(admin, vault, [{ day }]);
    const { event, head } = await recoverEvent(
      door,
      { eventId: login?.eventId ?? '', day: undefined },
      purpose,
    );
    expect(plain([event])).toEqual(login === undefined ? [] : expected([login]));
    expect(event.tokens['ip']).toMatch(/^t1:/);
    expect(await subjects()).toEqual([login?.eventId]);
    expect(asked).toEqual([{ day, entries: 1 }]);
    expect(head.id).toBe('1');
    expect(event.accessId).toBe('1');
  });

  test('that is not stored leaves its entry, and says how many days nobody looked into', async () => {
    await admin.execute(sql`insert into archives (table_name, day, state, location)
      values ('user_logins', '2026-08-01', 'archived', 'file:/x')`);
    const eventId = '99999999-9999-4999-8999-999999999999';
    const attempt = recoverEvent(door, { eventId, day: undefined }, purpose);
    await expect(attempt).rejects.toSatisfy((e) => e instanceof EventNotFound && e.archivedDays === 1);
    expect(await subjects()).toEqual([eventId]);
    expect(asked).toEqual([]);
  });

  test('whose fields were erased shows them as erased and needs no key', async () => {
    const [login] = await storeLogins(admin, vault, [{ day }]);
    await admin.execute(sql`update user_logins set ip_sealed = null, device_id_sealed = null, masked_ip = null,
      masked_device_id = null`);
    const { event } = await recoverEvent(door, { eventId: login?.eventId ?? '', day }, purpose);
    expect(event).toMatchObject({
      personal: { ip: null, device_id: null },
      tokens: { ip: null, device_id: null },
      erased: ['ip', 'device_id'],
    });
    expect(asked).toEqual([]);
  });

  test('of a shredded day says when and by which ticket, and asks the vault for nothing', async () => {
    const [login] = await storeLogins(admin, vault, [{ day }]);
    await admin.execute(
      sql`insert into shreds (scope, day, reason, ticket) values ('day', ${day}, 'r', 'GDPR-7')`,
    );
    for (const hint of [undefined, day]) {
      const attempt = recoverEvent(door, { eventId: login?.eventId ?? '', day: hint }, purpose);
      await expect(attempt).rejects.toMatchObject({
        code: 'KEY_DESTROYED',
        message: expect.stringMatching(/^2026-11-24 was shredded on 20\d\d-\d\d-\d\d \(ticket GDPR-7\)\. /),
      });
    }
    expect(asked).toEqual([]);
    expect(await subjects()).toHaveLength(2);
  });

  test('whose key is not in the vault any more says so', async () => {
    const [login] = await storeLogins(admin, vault, [{ day }]);
    await vault.destroyDayKeys(day);
    const attempt = recoverEvent(door, { eventId: login?.eventId ?? '', day }, purpose);
    await expect(attempt).rejects.toMatchObject({
      code: 'KEY_DESTROYED',
      detail: `no private key for ${day}`,
    });
  });

  test('of an archived day names the archive', async () => {
    await admin.execute(sql`drop table user_logins_20261124`);
    await admin.execute(sql`insert into archives (table_name, day, state, location)
      values ('user_logins', ${day}, 'archived', 'file:/x')`);
    const attempt = recoverEvent(door, { eventId: '99999999-9999-4999-8999-999999999999', day }, purpose);
    await expect(attempt).rejects.toMatchObject({ code: 'DAY_ARCHIVED' });
  });

  test.for([
    [
      'moved here from another row',
      sql`update user_logins set ip_sealed =
      (select o.ip_sealed from user_logins o where o.event_id <> user_logins.event_id limit 1)`,
    ],
    ['altered', sql`update user_logins set ip_sealed = set_byte(ip_sealed, 40, get_byte(ip_sealed, 40) # 1)`],
    ['cut', sql`update user_logins set ip_sealed = '\\x0101'`],
    ['under a data key that is gone', sql`update user_logins set dek_id = 77`],
    [
      'under a data key that is not of its day',
      sql`update data_keys set sealed_dek =
      set_byte(sealed_dek, 50, get_byte(sealed_dek, 50) # 1)`,
    ],
  ] as const)('with a cell %s does not open', async ([, tamper]) => {
    const logins = await storeLogins(admin, vault, [{ day }, { day }], 1);
    await admin.execute(tamper);
    const attempt = recoverEvent(door, { eventId: logins[0]?.eventId ?? '', day: undefined }, purpose);
    await expect(attempt).rejects.toMatchObject({
      code: 'INTERNAL',
      detail: 'ip_sealed does not open in its place: moved or altered',
    });
  });
});

describe('a range', () => {
  test('of a user: pages in order over days and data keys, each event with its entry before the key is asked for', async () => {
    const logins = await storeLogins(
      admin,
      vault,
      [
        ...Array.from({ length: 23 }, () => ({ day })),
        ...Array.from({ length: 9 }, () => ({ day: next })),
        { day, userId: 'user-2' },
        { day: addDays(day, 4) },
      ],
      5,
    );
    const own = logins.filter((login) => login.userId === 'user-1' && login.day <= next);
    const { events, report } = await recoverAll({ userId: 'user-1' }, { pageSize: 10 });
    expect(plain(events)).toEqual(expected(own));
    expect(report).toMatchObject({
      subject: 'user:user-1 2026-11-21..2026-11-27',
      events: 32,
      erased: 0,
      damaged: 0,
      skipped: [],
      limited: false,
      head: { id: '33' },
    });
    expect(await subjects()).toEqual([report.subject, ...own.map(({ eventId }) => eventId)]);
    expect(events.map(({ accessId }) => accessId)).toEqual(own.map((_, i) => String(i + 2)));
    // Once a day of events, behind the request and the entries of the day's first page.
    expect(asked).toEqual([
      { day, entries: 11 },
      { day: next, entries: 1 + 23 + 9 },
    ]);
  });

  test('of a token: which events share the device or the address, in the epoch before too', async () => {
    const logins = await storeLogins(admin, vault, [
      { day, userId: 'a', ip: '198.51.100.7', deviceId: 'shared' },
      { day, userId: 'b', ip: '198.51.100.8', deviceId: 'shared' },
      { day: next, userId: 'c', ip: '198.51.100.7', deviceId: 'own' },
      { day: next, userId: 'd', ip: '198.51.100.9', deviceId: 'other' },
    ]);
    const tokenOf = async (column: string, user: string) => {
      const { rows } = await admin.execute<{ token: string }>(
        sql`select ${sql.identifier(column)} as token from user_logins where user_id = ${user}`,
      );
      return rows[0]?.token ?? '';
    };
    const device = await tokenOf('masked_device_id', 'a');
    const users = (found: { events: RecoveredEvent[] }) =>
      found.events.map(({ clear }) => String(clear['user_id'])).sort();
    expect(users(await recoverAll({ token: device }))).toEqual(['a', 'b']);
    expect(users(await recoverAll({ token: await tokenOf('masked_ip', 'a') }))).toEqual(['a', 'c']);
    await admin.execute(sql`update user_logins set masked_device_id_prior = masked_device_id,
      masked_device_id = 't2:' || substr(masked_device_id, 4) where user_id = 'b'`);
    expect(users(await recoverAll({ token: device }))).toEqual(['a', 'b']);
    expect(logins).toHaveLength(4);
  });

  test('delivers what can be opened and reports the rest', async () => {
    const logins = await storeLogins(admin, vault, [
      { day: addDays(day, -2) },
      { day: addDays(day, -1) },
      ...Array.from({ length: 6 }, () => ({ day })),
      { day: next },
    ]);
    const [shredded, keyless, first, second, erased, , , , last] = logins;
    await admin.execute(sql`insert into shreds (scope, day, reason, ticket)
      values ('day', ${shredded?.day ?? ''}, 'r', 'GDPR-7'), ('day', ${addDays(day, 3)}, 'r', 'GDPR-8')`);
    await vault.destroyDayKeys(keyless?.day ?? '');
    await admin.execute(sql`drop table user_logins_20261126`);
    await admin.execute(sql`insert into archives (table_name, day, state, location)
      values ('user_logins', ${addDays(day, 2)}, 'archived', 'file:/x')`);
    await admin.execute(
      sql`update user_logins set device_id_sealed = '\\x0101' where event_id = ${first?.eventId ?? ''}`,
    );
    await admin.execute(sql`update user_logins set dek_id = 77 where event_id = ${second?.eventId ?? ''}`);
    await admin.execute(
      sql`update user_logins set ip_sealed = null, masked_ip = null where event_id = ${erased?.eventId ?? ''}`,
    );
    const { events, report } = await recoverAll({ userId: 'user-1' }, { pageSize: 4 });
    expect(events.map(({ eventId }) => eventId)).toEqual(logins.slice(2).map(({ eventId }) => eventId));
    expect(events.at(-1)?.personal['ip']).toBe(last?.ip);
    expect(events[0]).toMatchObject({
      personal: { ip: first?.ip, device_id: null },
      damaged: ['device_id_sealed'],
    });
    expect(report).toMatchObject({
      events: 7,
      erased: 1,
      damaged: 3,
      damagedCells: [
        { eventId: first?.eventId, day, column: 'device_id_sealed' },
        { eventId: second?.eventId, day, column: 'ip_sealed' },
        { eventId: second?.eventId, day, column: 'device_id_sealed' },
      ],
      // A shredded day on which this user did nothing is no loss.
      skipped: [
        { day: shredded?.day, code: 'KEY_DESTROYED', message: expect.stringContaining('ticket GDPR-7') },
        { day: keyless?.day, code: 'KEY_DESTROYED' },
        { day: addDays(day, 2), code: 'DAY_ARCHIVED' },
      ],
    });
  });

  test('a day that leaves for the archive between two pages is not taken for the end of it', async () => {
    await storeLogins(
      admin,
      vault,
      Array.from({ length: 6 }, () => ({ day })),
    );
    let pages = 0;
    const { events, report } = await recoverAll(
      { userId: 'user-1' },
      {
        pageSize: 2,
        deliver: async () => {
          pages += 1;
          if (pages > 1) return;
          await admin.execute(sql`alter table user_logins detach partition user_logins_20261124`);
          await admin.execute(sql`insert into archives (table_name, day, state, location)
            values ('user_logins', ${day}, 'writing', 'file:/x')`);
        },
      },
    );
    expect(pages).toBe(1);
    expect(events).toEqual([]);
    expect(report.skipped).toMatchObject([{ day, code: 'DAY_ARCHIVED' }]);
  });

  test('ends at its limit and counts what it will show', async () => {
    await storeLogins(
      admin,
      vault,
      Array.from({ length: 12 }, () => ({ day })),
    );
    const totals: number[] = [];
    const onTotal = (total: number) => void totals.push(total);
    const cut = await recoverAll({ userId: 'user-1' }, { pageSize: 5, limit: 7, onTotal });
    expect(cut.events).toHaveLength(7);
    expect(cut.report.limited).toBe(true);
    const whole = await recoverAll({ userId: 'user-1' }, { pageSize: 6, limit: 13, onTotal });
    expect(whole.events).toHaveLength(12);
    expect(whole.report.limited).toBe(false);
    expect(totals).toEqual([7, 12]);
    expect(await subjects()).toHaveLength(2 + 7 + 12);
  });

  test('without events asks for no key, and its entry says what was looked for', async () => {
    const { report } = await recoverAll({ userId: 'nobody' });
    expect(report.events).toBe(0);
    expect(asked).toEqual([]);
    expect(await subjects()).toEqual(['user:nobody 2026-11-21..2026-11-27']);
  });

  test('stops when the vault does not answer: what was delivered has its entries', async () => {
    await storeLogins(admin, vault, [{ day }, { day: next }]);
    const seen: string[] = [];
    const deliver = async (events: readonly RecoveredEvent[]) => {
      seen.push(...events.map(({ eventId }) => eventId));
      vault.failure = 'VAULT_UNAVAILABLE';
    };
    await expect(recoverAll({ userId: 'user-1' }, { deliver })).rejects.toMatchObject({
      code: 'VAULT_UNAVAILABLE',
    });
    expect(seen).toHaveLength(1);
    expect(await subjects()).toEqual(expect.arrayContaining(seen));
  });
});

test('a log that takes no entries opens nothing', async () => {
  const [login] = await storeLogins(admin, vault, [{ day }]);
  await admin.execute(sql`revoke insert on access_log from sluice_recoverer`);
  const one = recoverEvent(door, { eventId: login?.eventId ?? '', day }, purpose);
  await expect(one).rejects.toMatchObject({ code: 'DATABASE_FORBIDDEN' });
  await expect(recoverAll({ userId: 'user-1' })).rejects.toMatchObject({ code: 'DATABASE_FORBIDDEN' });
  expect(asked).toEqual([]);
});
