import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { openDatabase, type Database } from '../../db/client.ts';
import { lockKeys, withLock } from '../../db/locks.ts';
import { ensureLogins, roleUrl, roles } from '../../db/logins.ts';
import { createDatabase, testPasswords, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
let admin: Database;
let killer: Database;
beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin', { max: 2, statementTimeoutMs: 10_000 });
  killer = database.open('admin');
});
afterEach(() => database[Symbol.asyncDispose]());

const kill = (pid: number | undefined) =>
  killer.execute(sql`select pg_terminate_backend(${pid}::integer, 5000)`);

describe('a transaction', () => {
  test('commits what it did, or nothing of it', async () => {
    await admin.execute(sql`create table t (n integer)`);
    await admin.transaction((session) => session.execute(sql`insert into t values (1)`));
    const failing = admin.transaction(async (session) => {
      await session.execute(sql`insert into t values (2)`);
      throw new RangeError('mine');
    });
    await expect(failing).rejects.toThrow(RangeError);
    expect((await admin.execute(sql`select n from t`)).rows).toEqual([{ n: 1 }]);
    expect(admin.busy).toBe(0);
  });

  test('says what went wrong in it, and its connection is used again', async () => {
    const backends = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const failing = admin.transaction(async (session) => {
        const { rows } = await session.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
        backends.add(rows[0]?.pid ?? 0);
        await session.execute(sql`select 1 / 0`);
      });
      await expect(failing).rejects.toMatchObject({ code: 'DATABASE_REJECTED', detail: 'SQLSTATE 22012' });
    }
    expect(backends.size).toBe(1);
  });

  test('whose connection is cut is an outage, and leaves no connection behind', async () => {
    for (let i = 0; i < 5; i++) {
      const cut = admin.transaction(async (session) => {
        const { rows } = await session.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
        await kill(rows[0]?.pid);
        await session.execute(sql`select 1`);
      });
      await expect(cut).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    }
    expect(admin.busy).toBe(0);
    await expect(admin.execute(sql`select 1`)).resolves.toMatchObject({ rowCount: 1 });
  });

  test('whose connection was cut while it lay idle costs no slot of the pool', async () => {
    for (let i = 0; i < 5; i++) {
      const { rows } = await admin.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
      await kill(rows[0]?.pid);
      await admin.transaction((session) => session.execute(sql`select 1`)).catch(() => undefined);
    }
    expect(admin.busy).toBe(0);
    await expect(admin.transaction((session) => session.execute(sql`select 1`))).resolves.toBeDefined();
  });
});

describe('failures are classified', () => {
  test('a statement that takes too long', async () => {
    await using hasty = openDatabase(database.urls.admin, {
      applicationName: 'hasty',
      max: 1,
      statementTimeoutMs: 50,
    });
    await expect(hasty.execute(sql`select pg_sleep(10)`)).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      detail: 'SQLSTATE 57014',
    });
  });

  test('a table, a database, a server that is not there; a wrong password', async () => {
    const attempt = async (url: string, statement = sql`select 1`) => {
      await using other = openDatabase(url, { applicationName: 'odd', max: 1, statementTimeoutMs: 5_000 });
      return await other.execute(statement).then(
        () => 'done',
        (error: unknown) => error,
      );
    };
    const { admin: url } = database.urls;
    expect(await attempt(url, sql`select * from nowhere`)).toMatchObject({ code: 'DATABASE_SCHEMA' });
    expect(await attempt(`${url}_not`)).toMatchObject({ code: 'DATABASE_SCHEMA' });
    expect(await attempt('postgres://a:b@127.0.0.1:1/x')).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await attempt(roleUrl(url, 'sluice_writer', 'wrong'))).toMatchObject({
      code: 'DATABASE_FORBIDDEN',
    });
    expect(await attempt(roleUrl(url, 'sluice_writer', ''))).toMatchObject({ code: 'DATABASE_FORBIDDEN' });
  });

  test('a row without a partition', async () => {
    const insert = sql`insert into user_logins values
      ('2001-01-01', gen_random_uuid(), now(), 'u', 'd', 'm', 'm', null, 1, '0.1', '', '', 1)`;
    await expect(admin.execute(insert)).rejects.toMatchObject({ code: 'PARTITION_MISSING' });
  });
});

describe('locks', () => {
  test('are held by one at a time', async () => {
    const order: string[] = [];
    const critical = (name: string) =>
      killer.withSession((session) =>
        withLock(session, lockKeys.maintain, async () => {
          order.push(`${name} in`);
          await session.execute(sql`select pg_sleep(0.05)`);
          order.push(`${name} out`);
        }),
      );
    await Promise.all([critical('a'), critical('b'), critical('c')]);
    const names = order.map((step) => step.slice(0, 1));
    expect(names).toEqual([names[0], names[0], names[2], names[2], names[4], names[4]]);
  });

  test('are released when the work throws, and when the connection breaks', async () => {
    const lock = (work: (pid: number | undefined) => Promise<unknown>) =>
      admin.withSession((session) =>
        withLock(session, lockKeys.maintain, async () => {
          const { rows } = await session.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
          return work(rows[0]?.pid);
        }),
      );
    await expect(lock(() => Promise.reject(new RangeError('mine')))).rejects.toThrow(RangeError);
    await expect(lock(kill)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await expect(lock(async () => 'mine')).resolves.toBe('mine');
  });
});

test('logins are made, again and by several at once, and their passwords reach no log', async () => {
  const passwords = { ...testPasswords };
  await Promise.all(Array.from({ length: 4 }, () => ensureLogins(database.urls.admin, passwords)));
  const { rows } = await admin.execute<{ rolname: string }>(sql`
    select rolname from pg_authid
    where rolname like 'sluice\\_%' and rolcanlogin and rolpassword like 'SCRAM-SHA-256$4096:%' order by rolname`);
  expect(rows.map(({ rolname }) => rolname)).toEqual(roles.toSorted());
  const found = await database.open('writer').execute<{ who: string }>(sql`select session_user as who`);
  expect(found.rows).toEqual([{ who: 'sluice_writer' }]);
});
