import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { migrateDatabase, readMigrations } from '../../db/migrate.ts';
import { createDatabase, type TestDatabase } from '../helpers/database.ts';

let database: TestDatabase;
let admin: Database;
beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
});
afterEach(() => database[Symbol.asyncDispose]());

/** As a database that nobody has migrated. */
async function startOver(): Promise<void> {
  await admin.execute(sql`drop schema public cascade`);
  await admin.execute(sql`create schema public`);
}

test('several at once: one applies, the others find nothing to do', async () => {
  await startOver();
  const migrations = await readMigrations();
  const outcomes = await Promise.all(
    Array.from({ length: 3 }, () => migrateDatabase(database.open('admin'), migrations)),
  );
  expect(outcomes.filter((names) => names.length > 0)).toEqual([migrations.map(({ name }) => name)]);
});

test('one that fails leaves nothing of itself, and what came before stays', async () => {
  await startOver();
  const [first] = await readMigrations();
  if (first === undefined) throw new Error('no migrations');
  const bad = { name: '0002_bad', text: 'create table half (n integer); select * from nowhere;' };
  await expect(migrateDatabase(admin, [first, bad])).rejects.toMatchObject({
    code: 'DATABASE_SCHEMA',
    message: expect.stringContaining('migration 0002_bad: SQLSTATE 42P01'),
  });
  const good = { ...bad, text: 'create table half (n integer);' };
  expect(await migrateDatabase(admin, [first, good])).toEqual(['0002_bad']);
});

test('one that was edited after it ran is refused before anything else runs', async () => {
  const migrations = await readMigrations();
  const edited = migrations.map((one, i) => (i === 1 ? { name: one.name, text: `${one.text}\n` } : one));
  const more = [...edited, { name: '9999_more', text: 'create table more (n integer)' }];
  await expect(migrateDatabase(admin, more)).rejects.toMatchObject({ code: 'MIGRATION_CONFLICT' });
  const { rows } = await admin.execute(sql`select to_regclass('more') as more`);
  expect(rows).toEqual([{ more: null }]);
});

test('rights on the database are set right again on every run', async () => {
  await admin.execute(sql.raw(`grant temporary on database ${database.name} to public`));
  const writer = database.open('writer');
  await writer.execute(sql`create temporary table mine (n integer)`);
  await migrateDatabase(admin, await readMigrations());
  await expect(writer.execute(sql`create temporary table another (n integer)`)).rejects.toMatchObject({
    code: 'DATABASE_FORBIDDEN',
  });
});
