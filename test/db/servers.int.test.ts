import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { openDatabase, type Database } from '../../db/client.ts';
import { createDatabase, type TestDatabase } from '../helpers/database.ts';
import { TcpProxy } from '../helpers/tcp-proxy.ts';

let database: TestDatabase;
let first: TcpProxy;
let second: TcpProxy;
beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  const targetPort = Number(new URL(database.urls.admin).port);
  first = await TcpProxy.open({ targetPort });
  second = await TcpProxy.open({ targetPort });
});
afterEach(async () => {
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** One server twice, on its way through either proxy. */
function open(attrs: string, as: 'admin' | 'writer' = 'admin', password?: string): Database {
  const url = new URL(database.urls[as]);
  if (password !== undefined) url.password = password;
  const servers = `127.0.0.1:${first.port},127.0.0.1:${second.port}`;
  return openDatabase(url.href.replace(url.host, servers) + `?target_session_attrs=${attrs}`, {
    applicationName: 'servers',
    max: 3,
    statementTimeoutMs: 5_000,
  });
}

const port = sql<{ port: number }>`select inet_client_port() as port`;

test('a server that is gone is passed over, and the next is kept to when it is back', async () => {
  await using pool = open('read-write');
  const together = () => Promise.allSettled(Array.from({ length: 3 }, () => pool.execute(port)));
  const works = async () =>
    expect(new Set((await together()).map(({ status }) => status))).toEqual(new Set(['fulfilled']));
  await first.refuse();
  await works();
  expect([first.connections, second.connections]).toEqual([0, 3]);
  await first.heal();
  second.cut();
  // What the pool held is broken, and found out here.
  await together();
  await works();
  expect([first.connections, second.connections > 0]).toEqual([0, true]);
  await second.refuse();
  second.cut();
  await together();
  await works();
  expect([first.connections > 0, second.connections]).toEqual([true, 0]);
});

test('none there: an outage; a wrong password: a stop at the first', async () => {
  await using wrong = open('any', 'writer', 'wrong');
  await expect(wrong.execute(port)).rejects.toMatchObject({ code: 'DATABASE_FORBIDDEN' });
  expect(second.connections).toBe(0);
  await first.refuse();
  await second.refuse();
  await using pool = open('primary');
  await expect(pool.execute(port)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
  expect(pool.busy).toBe(0);
});

test('sessions that are not what is wanted are not used', async () => {
  const admin = database.open('admin');
  await admin.execute(sql.raw(`alter database ${database.name} set default_transaction_read_only = on`));
  for (const attrs of ['read-write', 'standby']) {
    await using pool = open(attrs);
    await expect(pool.execute(port)).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      detail: `no server of the database URL is ${attrs}`,
    });
  }
  for (const attrs of ['any', 'primary', 'read-only']) {
    await using pool = open(attrs);
    await expect(pool.execute(port)).resolves.toMatchObject({ rowCount: 1 });
  }
  await using pool = open('any');
  const before = second.connections;
  await expect(pool.execute(sql`create table t ()`)).rejects.toMatchObject({ detail: 'SQLSTATE 25006' });
  await pool.execute(port);
  // The next is to another server: this one was said to be read-only.
  expect(second.connections).toBe(before + 1);
});
