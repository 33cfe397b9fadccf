import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { sql } from 'drizzle-orm';
import { PipelineError } from '../shared/errors.ts';
import type { Connection, Database, Session } from './client.ts';
import { lockKeys, withLock } from './locks.ts';

/** A file of db/migrations: `0003_ledger` and its text. */
export interface Migration {
  readonly name: string;
  readonly text: string;
}

const directory = new URL('migrations/', import.meta.url);

/** The migrations of this version, in order. */
export async function readMigrations(): Promise<Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (file) => ({
      name: file.slice(0, -'.sql'.length),
      text: await readFile(new URL(file, directory), 'utf8'),
    })),
  );
}

/**
 * Applies the migrations that have not been, each in its own transaction with the note that it has, under an advisory lock:
 * several may run this at once. Returns the names applied.
 *
 * Ours rather than drizzle-orm's migrator, which compares times of its journal and so neither sees a migration that was edited
 * after it ran nor one that was merged late.
 *
 * @throws PipelineError MIGRATION_CONFLICT when one that ran has been edited, removed, or would run out of order.
 */
export async function migrateDatabase(
  database: Database,
  migrations: readonly Migration[],
): Promise<string[]> {
  return database.withSession((session) =>
    withLock(session, lockKeys.migrate, async () => {
      await session.execute(sql`
        create table if not exists schema_migrations (
          name text primary key, sha256 text not null, applied_at timestamptz not null default now()
        )`);
      const pending = pendingMigrations(migrations, await appliedMigrations(session));
      for (const migration of pending) await apply(session, migration);
      await restrictDatabase(session);
      return pending.map(({ name }) => name);
    }),
  );
}

interface Applied {
  readonly name: string;
  readonly sha256: string;
}

/** What is left to run: everything after what was applied, provided that is unchanged and comes first. */
export function pendingMigrations(
  migrations: readonly Migration[],
  applied: readonly Applied[],
): Migration[] {
  for (const [i, { name, sha256 }] of applied.entries()) {
    const migration = migrations.find((one) => one.name === name);
    if (migration === undefined) throw new PipelineError('MIGRATION_CONFLICT', `${name} is not known here`);
    if (hashOf(migration) !== sha256) throw new PipelineError('MIGRATION_CONFLICT', `${name} was edited`);
    const due = migrations[i];
    if (due !== undefined && due.name !== name) {
      throw new PipelineError('MIGRATION_CONFLICT', `${due.name} comes before ${name}, which has run`);
    }
  }
  return migrations.slice(applied.length);
}

/** Those that have run, in order. @throws PipelineError DATABASE_FORBIDDEN for any but the owner */
export async function appliedMigrations(session: Session): Promise<Applied[]> {
  const { rows } = await session.execute<{ name: string; sha256: string }>(
    sql`select name, sha256 from schema_migrations order by name collate "C"`,
  );
  return rows;
}

async function apply(connection: Connection, migration: Migration): Promise<void> {
  try {
    await connection.transaction(async (session) => {
      await session.execute(sql.raw(migration.text));
      await session.execute(
        sql`insert into schema_migrations (name, sha256) values (${migration.name}, ${hashOf(migration)})`,
      );
    });
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    throw new PipelineError(error.code, `migration ${migration.name}: ${error.detail ?? error.code}`);
  }
}

/**
 * Rights on the database itself, which neither a template nor a plain dump carries along, hence on every run: without this
 * everybody may make temporary tables.
 */
async function restrictDatabase(session: Session): Promise<void> {
  await session.execute(sql`
    do $$ begin execute format('revoke create, temporary on database %I from public', current_database()); end $$`);
}

function hashOf({ text }: Migration): string {
  return createHash('sha256').update(text).digest('hex');
}
