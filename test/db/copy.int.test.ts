import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { setTimeouts } from '../../db/queries/set-timeouts.ts';
import { PipelineError } from '../../shared/errors.ts';
import { createDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
let admin: Database;
beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin', { statementTimeoutMs: 30_000 });
  await admin.execute(sql`create table source as
    select i, repeat('x', 200) as padding from generate_series(1, 50000) as i`);
  await admin.execute(sql`create table target (i integer primary key, padding text)`);
});
afterEach(() => database[Symbol.asyncDispose]());

const out = sql`copy (select * from source order by i) to stdout with (format csv)`;
const into = sql`copy target from stdin with (format csv)`;
const one = sql<{ n: number }>`select 1 as n`;

const pidOf = sql<{ pid: number }>`select pg_backend_pid() as pid`;

async function kill(pid: number | undefined): Promise<void> {
  await admin.execute(sql`select pg_terminate_backend(${pid}::integer, 5000)`);
}

async function* rows(count: number) {
  for (let i = 1; i <= count; i++) yield Buffer.from(`${i},text\n`);
}

describe('copy out', () => {
  test('gives every byte, and the connection goes on', async () => {
    await admin.withSession(async (connection) => {
      for (let round = 0; round < 3; round++) {
        let bytes = 0;
        for await (const chunk of connection.copyTo(out)) bytes += chunk.length;
        expect(bytes).toBe(50_000 * 202 + 238_894);
        expect((await connection.execute(one)).rows).toEqual([{ n: 1 }]);
      }
    });
    expect(admin.busy).toBe(0);
  });

  test('is no faster than its reader, and may take longer than a statement where the transaction says so', async () => {
    await admin.withSession(async (connection) => {
      await connection.execute(setTimeouts({ lockMs: 0, statementMs: 500 }));
      await connection.transaction(async () => {
        await connection.execute(sql`set local statement_timeout = 0`);
        let chunks = 0;
        for await (const _ of connection.copyTo(out)) if ((chunks += 1) % 20 === 0) await delay(100);
        expect(chunks).toBeGreaterThan(100);
        expect((await connection.execute(one)).rows).toEqual([{ n: 1 }]);
      });
    });
  });

  test('that the server refuses is classified, and the connection goes on', async () => {
    await admin.withSession(async (connection) => {
      const reading = async () => {
        for await (const _ of connection.copyTo(
          sql`copy (select 1 / (i - 40000) from source order by i) to stdout`,
        ));
      };
      await expect(reading()).rejects.toMatchObject({
        code: 'DATABASE_REJECTED',
        detail: 'SQLSTATE 22012',
      });
      expect((await connection.execute(one)).rows).toEqual([{ n: 1 }]);
    });
  });

  test('that is left half way breaks the connection, at once and for good', async () => {
    const mine = new RangeError('mine');
    const leaving = admin.withSession((connection) =>
      connection.transaction(async () => {
        for await (const _ of connection.copyTo(out)) throw mine;
      }),
    );
    await expect(leaving).rejects.toBe(mine);
    await admin.withSession(async (connection) => {
      for await (const _ of connection.copyTo(out)) break;
      await expect(connection.execute(one)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    });
    expect(admin.busy).toBe(0);
    expect((await admin.execute(one)).rows).toEqual([{ n: 1 }]);
  });

  test('whose server goes away is an outage', async () => {
    const cut = admin.withSession(async (connection) => {
      const { rows } = await connection.execute(pidOf);
      let chunks = 0;
      for await (const _ of connection.copyTo(out)) if ((chunks += 1) === 1) await kill(rows[0]?.pid);
    });
    await expect(cut).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(admin.busy).toBe(0);
  });
});

describe('copy in', () => {
  test('takes everything, and says how many rows', async () => {
    await admin.withSession(async (connection) => {
      expect(await connection.copyFrom(into, rows(20_000))).toBe(20_000);
      expect((await connection.execute(sql`select count(*)::int as n from target`)).rows).toEqual([
        { n: 20_000 },
      ]);
    });
  });

  test('whose source fails leaves nothing, says why, and keeps the connection', async () => {
    const why = new PipelineError('ARCHIVE_DAMAGED', 'it');
    async function* failing() {
      yield* rows(5_000);
      throw why;
    }
    await admin.withSession(async (connection) => {
      await expect(connection.copyFrom(into, failing())).rejects.toBe(why);
      expect((await connection.execute(sql`select count(*)::int as n from target`)).rows).toEqual([{ n: 0 }]);
    });
    expect(admin.busy).toBe(0);
  });

  test('of what the table refuses is classified', async () => {
    async function* twice() {
      yield* rows(10_000);
      yield* rows(10);
    }
    await admin.withSession(async (connection) => {
      await expect(connection.copyFrom(into, twice())).rejects.toMatchObject({
        code: 'DATABASE_REJECTED',
        detail: 'SQLSTATE 23505',
      });
      expect((await connection.execute(one)).rows).toEqual([{ n: 1 }]);
    });
  });

  test('whose server goes away is an outage', async () => {
    const cut = admin.withSession(async (connection) => {
      const { rows: found } = await connection.execute(pidOf);
      async function* interrupted() {
        yield* rows(100);
        await kill(found[0]?.pid);
        yield* rows(100_000);
      }
      await connection.copyFrom(into, interrupted());
    });
    await expect(cut).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(admin.busy).toBe(0);
  });
});
