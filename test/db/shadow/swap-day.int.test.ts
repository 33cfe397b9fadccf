import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { PinnedConnection, Session } from '../../../db/client.ts';
import { withSwapLock } from '../../../db/locks.ts';
import { dropShadow } from '../../../db/shadow/drop-shadow.ts';
import { swapDay } from '../../../db/shadow/swap-day.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { addDays } from '../../../shared/time.ts';
import { Backfill, job, loginRows, today, yesterday } from './fixtures.ts';

let backfill: Backfill;
beforeEach(async () => {
  backfill = await Backfill.create(inject('postgresAdminUrl'));
});
afterEach(() => backfill[Symbol.asyncDispose]());

const cleaned = () => backfill.admin.withSession((connection) => dropShadow(connection, userLogins, job));

test('a day and its shadow change places, and back, and once more', async () => {
  await backfill.filled(500);
  expect(await backfill.change(yesterday)).toMatchObject({ place: 'swapped', already: false, carried: 0 });
  expect(await backfill.count(yesterday)).toEqual({ rows: 500, mended: 500 });
  expect(await backfill.count(today)).toEqual({ rows: 500, mended: 0 });
  expect(await backfill.change(yesterday)).toMatchObject({ already: true });
  await backfill.admin.execute(loginRows(yesterday, 7));
  expect(await backfill.change(yesterday, 'unswap')).toMatchObject({ place: 'unswapped', carried: 7 });
  expect(await backfill.count(yesterday)).toEqual({ rows: 507, mended: 0 });
  expect(await backfill.change(yesterday, 'unswap')).toMatchObject({ already: true });
  expect(await backfill.change(yesterday)).toMatchObject({ place: 'swapped' });
  expect(await backfill.count(yesterday)).toEqual({ rows: 507, mended: 500 });
  expect((await cleaned()).tables).toHaveLength(3);
  expect(await backfill.asides()).toEqual([]);
  expect(await backfill.count(yesterday)).toEqual({ rows: 507, mended: 500 });
});

test('a column that is new comes with the shadow', async () => {
  await backfill.admin.execute(sql`alter table user_logins add column platform varchar(16)`);
  const name = await backfill.filled(300, [yesterday]);
  await backfill.admin.execute(sql`update ${sql.identifier(name)} set platform = lower(device_type)`);
  await backfill.change(yesterday);
  const { rows } = await backfill.admin.execute(
    sql`select platform, count(*)::integer as rows from user_logins group by platform`,
  );
  expect(rows).toEqual([{ platform: 'ios', rows: 300 }]);
});

describe('readers and a writer', () => {
  test('go on all the while: no query fails, no row is missing at any time or lost in the end', async () => {
    const days = [addDays(today, -2), yesterday, today];
    await backfill.filled(2_000, days);
    let stop = false;
    const readers = (['analyst', 'operator'] as const).map(async (role) => {
      const database = backfill.database.open(role, { max: 1 });
      const queries: number[] = [];
      let most = 0;
      while (!stop) {
        const { rows } = await database.execute<{ rows: number }>(
          sql`select count(*)::integer as rows, max(masked_ip) from user_logins where create_date = any(${sql.param(days)}::date[])`,
        );
        const seen = rows[0]?.rows ?? 0;
        // Rows only come: who sees fewer than before has looked when some were not there.
        if (seen < most) throw new Error(`${seen} rows after ${most}`);
        most = seen;
        queries.push(seen);
      }
      return queries;
    });
    const writer = (async () => {
      const database = backfill.database.open('writer', { max: 1 });
      let written = 0;
      while (!stop) {
        await database.execute(loginRows(today, 20));
        await database.execute(loginRows(yesterday, 1));
        written += 21;
      }
      return written;
    })();
    // Somebody who keeps the table to himself for a while: attempts are given up, and nobody waits behind them for long.
    const slow = backfill.database.open('analyst', { max: 1 }).transaction(async (session) => {
      await session.execute(sql`select count(*) from user_logins`);
      await session.execute(sql`select pg_sleep(1)`);
    });
    await sleep(50);
    const first = await backfill.change(yesterday, 'swap', { maxWaitMs: 100, attempts: 60 });
    await slow;
    expect(first.attempts).toBeGreaterThan(1);
    for (const day of days) await backfill.change(day, 'swap', { attempts: 60 });
    for (const day of days) await backfill.change(day, 'unswap', { attempts: 60 });
    for (const day of days) await backfill.change(day, 'swap', { attempts: 60 });
    stop = true;
    const written = await writer;
    const queries = await Promise.all(readers);
    expect(queries.every((list) => list.length > 20)).toBe(true);
    expect(written).toBeGreaterThan(100);
    let rows = 0;
    for (const day of days) rows += (await backfill.count(day)).rows;
    expect(rows).toBe(6_000 + written);
    expect((await cleaned()).days).toEqual(days);
  });

  test('are not held up by a swap that does not get its lock, which says so', async () => {
    await backfill.filled(10, [yesterday]);
    await backfill.database.open('analyst', { max: 1 }).transaction(async (session) => {
      await session.execute(sql`select count(*) from user_logins`);
      await expect(backfill.change(yesterday, 'swap', { maxWaitMs: 20, attempts: 2 })).rejects.toMatchObject({
        code: 'DATABASE_UNAVAILABLE',
        detail: 'a transaction that is still open uses user_logins',
      });
    });
    expect(await backfill.count(yesterday)).toEqual({ rows: 10, mended: 0 });
    expect(await backfill.change(yesterday)).toMatchObject({ place: 'swapped' });
  });
});

describe('rows that only the live table has', () => {
  test('are carried over when they came after the plan, and a reason to refuse when they did not', async () => {
    await backfill.store(100, [yesterday]);
    const { name } = await backfill.make([yesterday]);
    await backfill.replay(name, sql`event_id::text < '8'`);
    await backfill.admin.execute(loginRows(yesterday, 5));
    const { rows: left } = await backfill.count(yesterday, name);
    await expect(backfill.change(yesterday)).rejects.toMatchObject({
      code: 'SHADOW_CONFLICT',
      detail: expect.stringContaining(`${100 - left} rows of ${yesterday} are live and not in its shadow`),
    });
    expect(await backfill.count(yesterday)).toEqual({ rows: 105, mended: 0 });
    // The five are there already.
    expect(await backfill.change(yesterday, 'swap', { carryMissing: true })).toMatchObject({
      carried: 100 - left,
    });
    expect(await backfill.count(yesterday)).toEqual({ rows: 105, mended: left });
  });

  test('are all carried over on the way back, whatever their time says, and rows that only the replay had are not', async () => {
    const name = await backfill.filled(50, [yesterday]);
    await backfill.admin.execute(sql`insert into ${sql.identifier(name)}
      select (json_populate_record(one, json_build_object('event_id', gen_random_uuid()))).* from (
        select one from ${sql.identifier(name)} one limit 1) found`);
    await backfill.settle();
    await backfill.change(yesterday);
    expect((await backfill.count(yesterday)).rows).toBe(51);
    await backfill.admin.execute(loginRows(yesterday, 3));
    await backfill.admin.execute(
      sql`alter table user_logins alter column ingested_at set default '2020-01-01'`,
    );
    await backfill.admin.execute(loginRows(yesterday, 4));
    expect(await backfill.change(yesterday, 'unswap')).toMatchObject({ carried: 7 });
    expect(await backfill.count(yesterday)).toEqual({ rows: 57, mended: 0 });
  });

  test('keep what was before from being dropped', async () => {
    await backfill.filled(20, [yesterday]);
    await backfill.change(yesterday);
    await backfill.admin.execute(
      sql`delete from user_logins where event_id = (select min(event_id::text)::uuid from user_logins)`,
    );
    await expect(cleaned()).rejects.toMatchObject({
      code: 'SHADOW_CONFLICT',
      detail: '1 rows of user_logins_before_fix_versions_20261123 are not in user_logins',
    });
    expect(await backfill.asides()).toHaveLength(2);
  });
});

describe('refuses', () => {
  test('while another is at work', async () => {
    await backfill.filled(10, [yesterday]);
    await backfill.admin.withSession((connection) =>
      withSwapLock(connection, () =>
        expect(backfill.change(yesterday)).rejects.toMatchObject({ code: 'CUSTODY_BUSY' }),
      ),
    );
    expect(await backfill.change(yesterday)).toMatchObject({ already: false });
  });

  test('a second backfill of a day that has a way back', async () => {
    await backfill.filled(10, [yesterday]);
    await backfill.change(yesterday);
    const { name } = await backfill.make([yesterday], 'other');
    await backfill.replay(name);
    const second = () => backfill.change(yesterday, 'swap', {}, 'other');
    await expect(second()).rejects.toMatchObject({ code: 'BACKFILL_OPEN' });
    await cleaned();
    expect(await second()).toMatchObject({ place: 'swapped' });
  });

  test('a table that has changed since', async () => {
    await backfill.filled(10, [yesterday]);
    await backfill.admin.execute(sql`alter table user_logins add column platform varchar(16)`);
    await expect(backfill.change(yesterday)).rejects.toMatchObject({
      code: 'SHADOW_CONFLICT',
      detail: expect.stringContaining('column platform character varying(16)'),
    });
  });

  test('an index that would be built while everybody waits', async () => {
    await backfill.filled(10, [yesterday]);
    await backfill.admin.execute(sql`create index by_user on user_logins (user_id)`);
    await expect(backfill.change(yesterday)).rejects.toMatchObject({
      code: 'SHADOW_CONFLICT',
      detail: expect.stringContaining('plain index btree (user_id)'),
    });
  });

  test('tokens of an epoch that is over, but not on the way back', async () => {
    await backfill.filled(10);
    await backfill.change(today);
    await backfill.admin.execute(sql`update token_epochs set state = 'retired' where epoch = 1`);
    await backfill.admin.execute(sql`insert into token_epochs (epoch, state) values (2, 'current')`);
    await expect(backfill.change(yesterday)).rejects.toMatchObject({
      code: 'SHADOW_CONFLICT',
      detail: expect.stringContaining('10 rows of user_logins_shadow_fix_versions_20261123 have tokens'),
    });
    expect(await backfill.change(today, 'unswap')).toMatchObject({ staleTokens: 10 });
  });

  test('a day that it has no table of, and a job that nobody knows', async () => {
    await backfill.filled(10, [yesterday]);
    await expect(backfill.change(today)).rejects.toMatchObject({ code: 'SHADOW_MISSING' });
    await expect(backfill.change(today, 'swap', {}, 'nobody')).rejects.toMatchObject({
      code: 'SHADOW_MISSING',
    });
  });
});

test('a session that ends anywhere leaves the day as it was or as it is to be', async () => {
  await backfill.filled(40, [yesterday]);
  const ended: string[] = [];
  let direction: 'swap' | 'unswap' = 'swap';
  for (let at = 1; at < 200; at += 2) {
    const database = backfill.database.open('admin', { max: 1 });
    let statements = 0;
    const outcome = await database
      .withSession((connection) => {
        const cut = cutAt(connection, () => ++statements === at);
        const options = { carryMissing: false, maxWaitMs: 500, attempts: 1 };
        return swapDay(cut, userLogins, { job, day: yesterday, direction }, options);
      })
      .then(
        ({ place }) => place,
        () => 'ended',
      );
    const { rows, mended } = await backfill.count(yesterday);
    expect(rows).toBe(40);
    expect([0, 40]).toContain(mended);
    if (outcome !== 'ended') break;
    ended.push(outcome);
    // Every other time the way back, so that both are cut off everywhere.
    const done = await backfill.change(yesterday, direction);
    expect(done.place).toBe(direction === 'swap' ? 'swapped' : 'unswapped');
    if (at % 4 === 1) await backfill.change(yesterday, direction === 'swap' ? 'unswap' : 'swap');
    direction = (await backfill.count(yesterday)).mended === 40 ? 'unswap' : 'swap';
  }
  expect(ended.length).toBeGreaterThan(15);
  expect(await backfill.asides()).toHaveLength(2);
});

/** Ends the session before the statement that `isHere` says. */
function cutAt(connection: PinnedConnection, isHere: () => boolean): PinnedConnection {
  const session = (inner: Session): Session => ({
    async execute(statement) {
      if (isHere()) await inner.execute(sql`select pg_terminate_backend(pg_backend_pid())`);
      return inner.execute(statement);
    },
  });
  return {
    ...connection,
    ...session(connection),
    transaction: (work) => connection.transaction((inner) => work(session(inner))),
  };
}
