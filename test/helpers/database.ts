import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { openDatabase, type Database, type Session } from '../../db/client.ts';
import { ensureLogins, roleUrl, type Role } from '../../db/logins.ts';
import { migrateDatabase, readMigrations } from '../../db/migrate.ts';
import { editPostgresUrl } from '../../shared/postgres-url.ts';

/** The passwords of the roles in the test cluster, where every test shares the roles. */
export const testPasswords: Readonly<Record<Role, string>> = {
  sluice_writer: 'test-writer',
  sluice_recoverer: 'test-recoverer',
  sluice_operator: 'test-operator',
  sluice_analyst: 'test-analyst',
  sluice_shredder: 'test-shredder',
  sluice_tokenizer: 'test-tokenizer',
  sluice_approver: 'test-approver',
  sluice_monitor: 'test-monitor',
  sluice_replayer: 'test-replayer',
};

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly urls: Readonly<
    Record<
      | 'admin'
      | 'writer'
      | 'recoverer'
      | 'operator'
      | 'analyst'
      | 'shredder'
      | 'tokenizer'
      | 'approver'
      | 'monitor'
      | 'replayer',
      string
    >
  >;
  /** A pool that is closed with the database; one that still has a connection out by then fails the test. */
  open(as: keyof TestDatabase['urls'], options?: { max?: number; statementTimeoutMs?: number }): Database;
}

/**
 * A database of its own with every migration applied: cloned from a template that is made once per cluster and state of the
 * migrations, whichever worker comes first. Dropped on disposal; a connection that a test left open by then fails it.
 */
export async function createDatabase(adminUrl: string): Promise<TestDatabase> {
  const template = await ensureTemplate(adminUrl);
  const name = `test_${randomBytes(8).toString('hex')}`;
  await withAdmin(adminUrl, (admin) =>
    admin.execute(sql.raw(`create database ${name} template ${template}`)),
  );
  const admin = databaseUrl(adminUrl, name);
  // Rights on a database are not cloned with it: the migrations have run, the rights are set again.
  await withAdmin(admin, async (database) => migrateDatabase(database, await readMigrations()));
  const pools: Database[] = [];
  const urls = {
    admin,
    writer: roleUrl(admin, 'sluice_writer', testPasswords.sluice_writer),
    recoverer: roleUrl(admin, 'sluice_recoverer', testPasswords.sluice_recoverer),
    operator: roleUrl(admin, 'sluice_operator', testPasswords.sluice_operator),
    analyst: roleUrl(admin, 'sluice_analyst', testPasswords.sluice_analyst),
    shredder: roleUrl(admin, 'sluice_shredder', testPasswords.sluice_shredder),
    tokenizer: roleUrl(admin, 'sluice_tokenizer', testPasswords.sluice_tokenizer),
    approver: roleUrl(admin, 'sluice_approver', testPasswords.sluice_approver),
    monitor: roleUrl(admin, 'sluice_monitor', testPasswords.sluice_monitor),
    replayer: roleUrl(admin, 'sluice_replayer', testPasswords.sluice_replayer),
  };
  return {
    name,
    urls,
    open(as, options = {}) {
      const pool = openDatabase(urls[as], {
        applicationName: `test-${as}`,
        max: options.max ?? 4,
        statementTimeoutMs: options.statementTimeoutMs ?? 30_000,
      });
      pools.push(pool);
      return pool;
    },
    async [Symbol.asyncDispose]() {
      const busy = pools.filter((pool) => pool.busy > 0).length;
      if (busy === 0) await Promise.all(pools.map((pool) => pool[Symbol.asyncDispose]()));
      const leaked = await withAdmin(adminUrl, (admin) => dropDatabase(admin, name));
      if (leaked.length > 0) throw new Error(`connections left open to ${name}: ${leaked.join(', ')}`);
    },
  };
}

async function ensureTemplate(adminUrl: string): Promise<string> {
  const migrations = await readMigrations();
  const hash = createHash('sha256').update(JSON.stringify(migrations)).digest('hex').slice(0, 12);
  const template = `sluice_template_${hash}`;
  await withAdmin(adminUrl, (admin) =>
    admin.withSession(async (session) => {
      await session.execute(sql`select pg_advisory_lock(5110100)`);
      const found = await session.execute<{ complete: boolean }>(
        sql`select datistemplate as complete from pg_database where datname = ${template}`,
      );
      if (found.rows[0]?.complete !== true) {
        if (found.rowCount > 0) await session.execute(sql.raw(`drop database ${template} with (force)`));
        await session.execute(sql.raw(`create database ${template}`));
        await withAdmin(databaseUrl(adminUrl, template), (database) => migrateDatabase(database, migrations));
        await ensureLogins(adminUrl, testPasswords);
        await session.execute(sql.raw(`alter database ${template} is_template true allow_connections false`));
      }
      await session.execute(sql`select pg_advisory_unlock(5110100)`);
    }),
  );
  return template;
}

/** Drops it whoever is connected, and says who was: a disposed pool has gone from the server within moments. */
async function dropDatabase(admin: Session, name: string): Promise<string[]> {
  let leaked: string[] = [];
  for (let look = 0; look < 20; look++) {
    const { rows } = await admin.execute<{ who: string }>(
      sql`select application_name as who from pg_stat_activity where datname = ${name} and backend_type = 'client backend'`,
    );
    leaked = rows.map(({ who }) => who);
    if (leaked.length === 0) break;
    await admin.execute(sql`select pg_sleep(0.1)`);
  }
  await admin.execute(sql.raw(`drop database ${name} with (force)`));
  return leaked;
}

async function withAdmin<T>(url: string, work: (database: Database) => Promise<T>): Promise<T> {
  await using database = openDatabase(url, {
    applicationName: 'test-admin',
    max: 2,
    statementTimeoutMs: 60_000,
  });
  return await work(database);
}

function databaseUrl(adminUrl: string, name: string): string {
  return editPostgresUrl(adminUrl, (url) => {
    url.pathname = `/${name}`;
  });
}
