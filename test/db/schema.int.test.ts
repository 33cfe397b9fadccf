import { sql, type SQL } from 'drizzle-orm';
import { getTableConfig } from 'drizzle-orm/pg-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { dumpSchema } from '../../db/dump-schema.ts';
import { accessLogTable } from '../../db/schema/access-log.ts';
import { dataKeysTable, dayKeysTable } from '../../db/schema/keys.ts';
import {
  archivesTable,
  recoveryRequestsTable,
  shredsTable,
  tokenEpochsTable,
} from '../../db/schema/custody.ts';
import { ledgerTable } from '../../db/schema/ledger.ts';
import { shadowsTable, shadowSwapsTable } from '../../db/schema/shadows.ts';
import { replayJobsTable, replayLedgerTable, replayWorkersTable } from '../../db/schema/replay.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { createDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
let admin: Database;
beforeAll(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
});
afterAll(() => database[Symbol.asyncDispose]());

test('the migrations make what db/schema.sql says', async () => {
  await expect(await dumpSchema(admin)).toMatchFileSnapshot('../../db/schema.sql');
});

test('the dump shows a change of any kind', async () => {
  const before = await dumpSchema(admin);
  const changes = [
    sql`alter table ledger alter column read drop not null`,
    sql`alter table ledger alter column written_at drop default`,
    sql`alter table ledger drop constraint ledger_counts`,
    sql`drop index data_keys_day`,
    sql`drop trigger access_log_append_only on access_log`,
    sql`alter function access_log_chain() security invoker`,
    sql`grant select (ip_sealed) on user_logins to sluice_analyst`,
    sql`grant usage on sequence ledger_id_seq to sluice_operator`,
    sql`grant create on schema public to public`,
    sql`alter table user_logins alter column dek_id type integer`,
  ];
  for (const change of changes) expect(await dumpAfter(change)).not.toBe(before);
  expect(await dumpSchema(admin)).toBe(before);
});

/** The dump with a change that is rolled back. */
function dumpAfter(change: SQL): Promise<string> {
  return admin.withSession(async (session) => {
    await session.execute(sql`begin`);
    await session.execute(change);
    const dump = await dumpSchema(session);
    await session.execute(sql`rollback`);
    return dump;
  });
}

const declared = [
  userLogins.table,
  ledgerTable,
  dayKeysTable,
  dataKeysTable,
  accessLogTable,
  shredsTable,
  archivesTable,
  tokenEpochsTable,
  recoveryRequestsTable,
  shadowsTable,
  shadowSwapsTable,
  replayJobsTable,
  replayLedgerTable,
  replayWorkersTable,
].map(getTableConfig);

test.for(declared)('$name is as Drizzle has it', async ({ name, columns }) => {
  const { rows } = await admin.execute(sql`
    select attname as name, format_type(atttypid, atttypmod) as type, attnotnull as not_null,
      atthasdef or attidentity <> '' as has_default
    from pg_attribute where attrelid = ${name}::regclass and attnum > 0 and not attisdropped order by attnum`);
  const expected = [];
  for (const column of columns) {
    const type = await admin.execute<{ type: string }>(
      sql`select format_type(to_regtype(t), to_regtypemod(t)) as type from (select ${column.getSQLType()}::text as t)`,
    );
    expected.push({
      name: column.name,
      type: type.rows[0]?.type,
      not_null: column.notNull,
      has_default: column.hasDefault || column.generatedIdentity !== undefined,
    });
  }
  expect(rows).toEqual(expected);
});
