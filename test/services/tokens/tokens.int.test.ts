import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../../db/client.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { finishTokens } from '../../../services/tokens/finish.ts';
import { retoken } from '../../../services/tokens/retoken.ts';
import { rotateTokens } from '../../../services/tokens/rotate.ts';
import { tokenStatus } from '../../../services/tokens/status.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { addDays, msPerDay } from '../../../shared/time.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { TestWriter, type TestLogin } from '../../helpers/writer.ts';

const today = '2026-11-24';
const yesterday = addDays(today, -1);
const now = Date.parse(`${today}T12:00:00Z`);
const purpose = { reason: 'test', ticket: 'T-1' };
const stream = userLogins;
const devices = 40;

let database: TestDatabase;
let admin: Database;
let tokenizer: Database;
let analyst: Database;
let vault: FakeVault;
let writer: TestWriter;

beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
  tokenizer = database.open('tokenizer');
  analyst = database.open('analyst');
  vault = new FakeVault();
  await maintainDays({ database: admin, keeper: vault, tables: ['user_logins'], clock: () => now });
  writer = newWriter();
});
afterEach(async () => {
  await writer[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const newWriter = () => new TestWriter({ connection: database.open('writer'), vault, clock: () => now });
const rotate = () => rotateTokens({ database: admin, keeper: vault, purpose });
const finish = (more: { leaveStale?: boolean; onProgress?: () => void; pageRows?: number } = {}) =>
  finishTokens({ database: admin, stream, purpose, ...more });
const retokenAll = (more: { onProgress?: () => void; pageRows?: number } = {}) =>
  retoken({ database: tokenizer, stream, keys: vault, peppers: vault, purpose, ...more });

/** Each device belongs to one user, comes from one address, and is seen on two days. */
function logins(count: number): TestLogin[] {
  return Array.from({ length: count }, (_, i) => ({
    sentAtMs: now - (i % 2) * msPerDay,
    userId: `user-${i % devices}`,
    deviceId: `device-${i % devices}`,
    ip: `203.0.113.${i % devices}`,
  }));
}

/** What an analyst sees at one moment. True to the devices there are, tokens of one epoch, whatever is going on. */
async function joins(): Promise<Record<string, unknown> | undefined> {
  const { rows } = await analyst.execute(sql`
    select count(distinct user_id)::integer as users, count(distinct masked_device_id)::integer as devices,
      count(distinct (user_id, masked_device_id))::integer as pairs, count(distinct masked_ip)::integer as addresses,
      count(distinct (masked_ip, masked_device_id))::integer as both,
      array_agg(distinct split_part(masked_device_id, ':', 1)) || array_agg(distinct split_part(masked_ip, ':', 1)) as epochs
    from user_logins_masked`);
  return rows[0];
}

const joined = (epoch: number) => ({
  users: devices,
  devices,
  pairs: devices,
  addresses: devices,
  both: devices,
  epochs: [`t${epoch}`, `t${epoch}`],
});

/** Rows by the epochs of their tokens, `"t2/t1": 3`. */
async function tokens(): Promise<Record<string, number>> {
  const { rows } = await admin.execute<{ epochs: string; n: number }>(sql`
    select concat(split_part(masked_ip, ':', 1), '/', split_part(masked_ip_prior, ':', 1)) as epochs, count(*)::integer as n
    from user_logins
    where split_part(masked_ip, ':', 1) is not distinct from split_part(masked_device_id, ':', 1)
    group by 1 order by 1`);
  return Object.fromEntries(rows.map(({ epochs, n }) => [epochs, n]));
}

async function accessLog(): Promise<string[]> {
  const { rows } = await admin.execute<{ line: string }>(
    sql`select actor || ' ' || action || ' ' || subject as line from access_log order by id`,
  );
  return rows.map(({ line }) => line.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID'));
}

describe('a window, step by step', () => {
  test('joins go on at every step, and every count is right', async () => {
    await writer.writeLogins(logins(100));
    expect(await joins()).toEqual(joined(1));

    expect(await rotate()).toEqual({ current: 2, prior: 1 });
    expect(await joins()).toEqual(joined(1));

    // This writer still thinks that epoch 1 is current.
    await writer.writeLogins(logins(100));
    expect(await tokens()).toEqual({ 't1/': 100, 't2/t1': 100 });
    expect(await joins()).toEqual(joined(1));

    let pages = 0;
    const cutOff = () => {
      if (++pages === 2) throw new Error('cut off');
    };
    await expect(retokenAll({ pageRows: 10, onProgress: cutOff })).rejects.toThrow('cut off');
    expect(await tokens()).toEqual({ 't1/': 80, 't2/t1': 120 });
    expect(await joins()).toEqual(joined(1));
    expect(await finish()).toMatchObject({ stale: [{ stale: 30 }, { stale: 50 }] });

    expect(await retokenAll({ pageRows: 10 })).toEqual({
      epoch: 2,
      retokened: 80,
      days: [yesterday, today],
      unopened: 0,
      changed: 0,
      daysWithoutKey: [],
    });
    expect(await tokens()).toEqual({ 't2/t1': 200 });
    expect(await joins()).toEqual(joined(1));

    await expect(
      finish({
        pageRows: 10,
        onProgress: () => {
          throw new Error('cut off');
        },
      }),
    ).rejects.toThrow('cut off');
    expect(await tokens()).toEqual({ 't2/': 10, 't2/t1': 190 });
    expect(await joins()).toEqual(joined(2));
    await writer.writeLogins(logins(100));
    expect(await joins()).toEqual(joined(2));

    expect(await finish()).toEqual({ retired: undefined, cleared: 190 });
    expect(await tokens()).toEqual({ 't2/': 300 });
    expect(await joins()).toEqual(joined(2));
    expect(await retokenAll()).toMatchObject({ retokened: 0 });

    const log = await accessLog();
    expect(log[0]).toMatch(/ rotate token epoch 2$/);
    expect(log.slice(1, -1)).toEqual([
      ...Array.from({ length: 5 }, () => `sluice_tokenizer retoken ${yesterday} ID..ID 10`),
      ...Array.from({ length: 5 }, () => `sluice_tokenizer retoken ${today} ID..ID 10`),
    ]);
    expect(log.at(-1)).toMatch(/ finish token epoch 1$/);
  });

  test('a token is the same one, whether it was made by the writer or made anew', async () => {
    await writer.writeLogins(logins(2));
    await rotate();
    await writer.writeLogins(logins(2));
    await retokenAll();
    const { rows } = await admin.execute(sql`
      select create_date from user_logins group by create_date
      having count(distinct (masked_ip, masked_device_id, masked_ip_prior, masked_device_id_prior)) <> 1 or count(*) <> 2`);
    expect(rows).toEqual([]);
  });

  test('a rotation while a window is open is refused and changes nothing', async () => {
    await rotate();
    expect(await rotate()).toEqual({ openWindow: { current: 2, prior: 1 } });
    expect(await vault.pepperEpochs()).toEqual([1, 2]);
  });

  test('what a cleared window left behind shows nowhere, in the next one neither', async () => {
    await writer.writeLogins(logins(100));
    await rotate();
    await retokenAll();
    await expect(
      finish({
        pageRows: 10,
        onProgress: () => {
          throw new Error('cut off');
        },
      }),
    ).rejects.toThrow('cut off');
    await rotate();
    expect(await tokens()).toEqual({ 't2/': 10, 't2/t1': 90 });
    expect(await joins()).toEqual(joined(2));
    await writer.writeLogins(logins(10));
    expect(await joins()).toEqual(joined(2));
    await retokenAll({ pageRows: 7 });
    expect(await tokens()).toEqual({ 't3/t2': 110 });
    expect(await joins()).toEqual(joined(2));
    expect(await finish()).toEqual({ retired: 2, cleared: 110 });
    expect(await joins()).toEqual(joined(3));
  });

  test('the status says what there is and what is left', async () => {
    await writer.writeLogins(logins(20));
    await rotate();
    await writer.writeLogins(logins(10));
    const status = await tokenStatus(database.open('operator'), stream);
    expect(status).toMatchObject({
      epochs: [
        { epoch: 1, state: 'prior', retiredAt: null },
        { epoch: 2, state: 'current', retiredAt: null },
      ],
      rows: 30,
      stale: 20,
      withPrior: 10,
      days: [
        { day: yesterday, rows: 15, stale: 10, withPrior: 5, shredded: false },
        { day: today, rows: 15, stale: 10, withPrior: 5, shredded: false },
      ],
      archivedDays: 0,
    });
  });
});

describe('while writers write and analysts ask', () => {
  test('three rotations: no analyst ever sees two epochs, no row has a token of an epoch that was over', async () => {
    await writer.writeLogins(logins(devices));
    const stop = new AbortController();
    let written = 0;
    const write = async (one: TestWriter) => {
      while (!stop.signal.aborted) {
        await one.writeLogins(logins(20));
        written += 20;
        await sleep(10);
      }
    };
    const seen = new Set<string>();
    const ask = async () => {
      while (!stop.signal.aborted) seen.add(JSON.stringify(await joins()));
    };
    await using other = newWriter();
    const running = Promise.all([write(writer), write(other), ask()]);
    try {
      for (let epoch = 2; epoch <= 4; epoch++) {
        expect(await rotate()).toEqual({ current: epoch, prior: epoch - 1 });
        await retokenAll({ pageRows: 50 });
        expect(await finish({ pageRows: 50 })).toMatchObject({ retired: epoch - 1 });
      }
    } finally {
      stop.abort();
      await running;
    }
    expect(written).toBeGreaterThan(100);
    expect([...seen].map((one): unknown => JSON.parse(one)).filter((one) => !isJoined(one))).toEqual([]);
    expect(seen.size).toBeGreaterThan(1);
    await finish();
    expect(await tokens()).toEqual({ 't4/': written + devices });
    expect(writer.deadCodes).toEqual([]);
  });

  const isJoined = (seen: unknown) =>
    [1, 2, 3, 4].some((epoch) => JSON.stringify(seen) === JSON.stringify(joined(epoch)));

  test('an insert under way is waited for: its rows are seen, and those after it have both tokens', async () => {
    const late = database.open('writer', { max: 1 });
    const insert = sql`insert into user_logins (create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id,
        app_version, app_version_text, ip_sealed, device_id_sealed, dek_id)
      select ${today}, ${randomUUID()}, now(), 'u', 'd', 't1:x', 't1:y', 1, '0.1', '', '', 1 where (select assert_token_epochs(1, null))`;
    let rotated = false;
    let rotation: Promise<unknown> = Promise.resolve();
    await late.transaction(async (session) => {
      await session.execute(insert);
      rotation = rotate().then(() => {
        rotated = true;
      });
      await session.execute(sql`select pg_sleep(0.3)`);
      expect(rotated).toBe(false);
    });
    await rotation;
    await expect(late.execute(insert)).rejects.toMatchObject({ code: 'TOKENS_CHANGED' });
  });
});

describe('retoken', () => {
  test('erased fields stay erased, shredded days are passed over, a row erased meanwhile is left alone', async () => {
    await writer.writeLogins(logins(20));
    await rotate();
    await admin.execute(sql`update user_logins set ip_sealed = null, masked_ip = null, device_id_sealed = null, masked_device_id = null
      where create_date = ${today} and user_id = 'user-0'`);
    await admin.execute(
      sql`update user_logins set ip_sealed = null, masked_ip = null where create_date = ${today} and user_id = 'user-2'`,
    );
    await admin.execute(sql`update day_keys set destroyed_at = now() where day = ${yesterday}`);
    // Between our look and our write: the vault is asked just then.
    const erasing = {
      dayPrivateKey: async (...asked: Parameters<FakeVault['dayPrivateKey']>) => {
        await admin.execute(
          sql`update user_logins set masked_ip = null, masked_device_id = null where create_date = ${today} and user_id = 'user-4'`,
        );
        return vault.dayPrivateKey(...asked);
      },
    };
    const report = await retoken({ database: tokenizer, stream, keys: erasing, peppers: vault, purpose });
    expect(report).toMatchObject({ retokened: 8, changed: 1, unopened: 0, days: [today] });
    const { rows } = await admin.execute(sql`
      select user_id, masked_ip is null as ip, left(masked_device_id, 3) as device, left(masked_device_id_prior, 3) as prior from user_logins
      where user_id in ('user-0', 'user-1', 'user-2', 'user-4', 'user-6') order by user_id`);
    expect(rows).toEqual([
      { user_id: 'user-0', ip: true, device: null, prior: null },
      { user_id: 'user-1', ip: false, device: 't1:', prior: null },
      { user_id: 'user-2', ip: true, device: 't2:', prior: 't1:' },
      { user_id: 'user-4', ip: true, device: null, prior: null },
      { user_id: 'user-6', ip: false, device: 't2:', prior: 't1:' },
    ]);
    // The shredded day's tokens are to be cleared, not finished over.
    expect(await finish()).toMatchObject({ stale: [{ day: yesterday, stale: 10, shredded: true }] });
  });

  test('a field that was moved keeps its token and is counted; the rest goes on, and finish can be told to leave it', async () => {
    await writer.writeLogins(logins(10));
    await rotate();
    await admin.execute(sql`update user_logins set ip_sealed = device_id_sealed where user_id = 'user-2'`);
    expect(await retokenAll({ pageRows: 3 })).toMatchObject({ retokened: 9, unopened: 1 });
    expect(await finish()).toMatchObject({ stale: [{ stale: 1 }] });
    expect(await finish({ leaveStale: true })).toEqual({ retired: 1, cleared: 9 });
  });

  test('a day whose key the vault has lost is named, and the others are done', async () => {
    await writer.writeLogins(logins(10));
    await rotate();
    await vault.destroyDayKeys(yesterday);
    expect(await retokenAll()).toMatchObject({ retokened: 5, days: [today], daysWithoutKey: [yesterday] });
  });

  test('rows of an epoch long gone, back from an archive, get the tokens of today without its pepper', async () => {
    await writer.writeLogins(logins(40));
    const { rows: kept } = await admin.execute(
      sql`select event_id, masked_ip, masked_device_id from user_logins`,
    );
    await rotate();
    await retokenAll();
    await finish();
    await vault.destroyPepper(1);
    for (const row of kept.slice(0, 7)) {
      await admin.execute(sql`update user_logins set masked_ip = ${row['masked_ip']}, masked_device_id = ${row['masked_device_id']}
        where event_id = ${row['event_id']}`);
    }
    expect(await retokenAll()).toMatchObject({ epoch: 2, retokened: 7 });
    expect(await tokens()).toEqual({ 't2/': 40 });
    expect(await joins()).toEqual(joined(2));
  });

  test('every entry of the access log is there before its page is opened', async () => {
    await writer.writeLogins(logins(10));
    await rotate();
    const before: number[] = [];
    const keys = {
      dayPrivateKey: async (...asked: Parameters<FakeVault['dayPrivateKey']>) => {
        before.push((await accessLog()).filter((line) => line.includes(' retoken ')).length);
        return vault.dayPrivateKey(...asked);
      },
    };
    await retoken({ database: tokenizer, stream, keys, peppers: vault, purpose });
    expect(before).toEqual([1, 2]);
  });

  test('a pepper that the vault lacks, or a vault that is down, opens nothing', async () => {
    await writer.writeLogins(logins(10));
    await rotate();
    await vault.destroyPepper(2);
    await expect(retokenAll()).rejects.toMatchObject({ code: 'KEY_MISSING' });
    vault.failure = 'VAULT_UNAVAILABLE';
    await expect(retokenAll()).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
    expect((await accessLog()).filter((line) => line.includes(' retoken '))).toEqual([]);
  });
});

describe('rotate, cut off', () => {
  test('between pepper and epoch: nobody is told of it, and the next rotation goes on with it', async () => {
    await writer.writeLogins(logins(10));
    const crashing = {
      ensurePepper: async (epoch: number) => {
        await vault.ensurePepper(epoch);
        throw new Error('crash');
      },
    };
    await expect(rotateTokens({ database: admin, keeper: crashing, purpose })).rejects.toThrow('crash');
    const made = await vault.pepper(2);
    await writer.writeLogins(logins(10));
    expect(await tokens()).toEqual({ 't1/': 20 });
    await rotate();
    expect(await vault.pepper(2)).toEqual(made);
  });

  test('in the middle of its transaction: the epochs stay as they were', async () => {
    await admin.execute(sql`alter table access_log add constraint crash check (action <> 'rotate')`);
    await expect(rotate()).rejects.toMatchObject({ code: 'DATABASE_REJECTED' });
    await writer.writeLogins(logins(10));
    expect(await tokens()).toEqual({ 't1/': 10 });
  });

  test('a vault that does not answer changes nothing', async () => {
    vault.failure = 'VAULT_UNAVAILABLE';
    await expect(rotate()).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
    vault.failure = undefined;
    await writer.writeLogins(logins(10));
    expect(await tokens()).toEqual({ 't1/': 10 });
  });
});

test('maintain makes the first pepper, and never another for one that is lost', async () => {
  const maintain = () =>
    maintainDays({ database: admin, keeper: vault, tables: ['user_logins'], clock: () => now });
  await vault.destroyPepper(1);
  await maintain();
  expect(await vault.pepperEpochs()).toEqual([1]);
  await writer.writeLogins(logins(1));
  await vault.destroyPepper(1);
  await maintain();
  expect(await vault.pepperEpochs()).toEqual([]);
});
