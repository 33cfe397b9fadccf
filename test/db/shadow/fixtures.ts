import { sql, type SQL } from 'drizzle-orm';
import type { Database } from '../../../db/client.ts';
import { withSwapLock } from '../../../db/locks.ts';
import { oldestTransaction } from '../../../db/queries/carry-rows.ts';
import { createShadow } from '../../../db/shadow/create-shadow.ts';
import { swapDay, type Direction, type SwapOptions, type SwappedDay } from '../../../db/shadow/swap-day.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { addDays, type Day } from '../../../shared/time.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { eventually } from '../../helpers/pipeline.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { maintainAround } from '../../services/recover/fixtures.ts';

export const today = '2026-11-24';
export const yesterday = addDays(today, -1);
export const job = 'fix-versions';

/** Made up by Postgres, for there are many: a thousand users, tokens of epoch 1, sealed cells that nobody opens. */
export function loginRows(day: Day, count: number): SQL {
  return sql`insert into user_logins (create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, locale,
      app_version, app_version_text, ip_sealed, device_id_sealed, dek_id)
    select ${day}::date, gen_random_uuid(), ${`${day}T08:00:00Z`}::timestamptz + n * interval '1 ms', 'user-' || n % 1000, 'iOS',
      't1:' || md5((n % 500)::text), 't1:' || md5(n::text), null, 2003000, '2.3.0', '\\x01', '\\x01', 1
    from generate_series(1, ${count}::integer) n`;
}

/** A database with days around {@link today}, and shadows as a replay would leave them. */
export class Backfill implements AsyncDisposable {
  readonly database: TestDatabase;
  readonly admin: Database;

  static async create(postgresAdminUrl: string): Promise<Backfill> {
    const backfill = new Backfill(await createDatabase(postgresAdminUrl));
    await maintainAround(backfill.admin, new FakeVault(), today);
    return backfill;
  }

  private constructor(database: TestDatabase) {
    this.database = database;
    this.admin = database.open('admin', { max: 8 });
  }

  /** Live rows of some days. */
  async store(count: number, days: readonly Day[] = [yesterday, today]): Promise<void> {
    for (const day of days) await this.admin.execute(loginRows(day, count));
  }

  make(days: readonly Day[] = [yesterday, today], of = job) {
    return createShadow(this.admin, userLogins, { job: of, days });
  }

  /** What a replay does, with a mapping that was mended: version 2.3.0 is 2003001, and every cell is sealed anew. */
  async replay(shadow: string, condition: SQL = sql`true`): Promise<void> {
    await this.admin
      .execute(sql`insert into ${sql.identifier(shadow)} (create_date, event_id, sent_at, user_id, device_type,
        masked_ip, masked_device_id, locale, app_version, app_version_text, ip_sealed, device_id_sealed, dek_id)
      select create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, locale, app_version + 1,
        app_version_text, '\\x02', '\\x02', 2
      from user_logins where ${condition} and create_date in (
        select to_date(right(child.relname, 8), 'YYYYMMDD') from pg_inherits join pg_class child on child.oid = inhrelid
        where inhparent = ${shadow}::regclass)`);
  }

  /** Live rows, and a shadow of them. */
  async filled(count: number, days: readonly Day[] = [yesterday, today]): Promise<string> {
    await this.store(count, days);
    const { name } = await this.make(days);
    await this.replay(name);
    return name;
  }

  /** Until no transaction is running that had begun by now, in this database or another. */
  async settle(): Promise<void> {
    const { rows } = await this.admin.execute<{ xid: string }>(sql`select pg_current_xact_id()::text as xid`);
    await eventually('older transactions have ended', async () => {
      const now = await this.admin.execute<{ xid: string }>(oldestTransaction());
      return BigInt(now.rows[0]?.xid ?? 0) > BigInt(rows[0]?.xid ?? 0);
    });
  }

  change(
    day: Day,
    direction: Direction = 'swap',
    more: Partial<SwapOptions> = {},
    of = job,
  ): Promise<SwappedDay> {
    const options = { carryMissing: false, maxWaitMs: 500, attempts: 20, ...more };
    return this.admin.withSession((connection) =>
      withSwapLock(connection, () => swapDay(connection, userLogins, { job: of, day, direction }, options)),
    );
  }

  /** How many rows of a day there are, and how many of them are mended. */
  async count(day: Day, table = 'user_logins'): Promise<{ rows: number; mended: number }> {
    const { rows } = await this.admin.execute<{ rows: number; mended: number }>(sql`
      select count(*)::integer as rows, count(*) filter (where app_version = 2003001)::integer as mended
      from ${sql.identifier(table)} where create_date = ${day}`);
    return rows[0] ?? { rows: 0, mended: 0 };
  }

  /** Names of tables with rows of a backfill. */
  async asides(): Promise<string[]> {
    const { rows } = await this.admin.execute<{ name: string }>(sql`
      select relname as name from pg_class where relkind in ('r', 'p') and relname ~ '_(shadow|before)_' order by relname`);
    return rows.map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
  }
}
