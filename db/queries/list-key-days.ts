import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';
import type { ArchiveState } from './find-archive.ts';

/** What the database knows of a day's keys and rows. Times are `YYYY-MM-DDTHH:MM:SSZ`. */
export interface KeyDay extends Record<string, unknown> {
  readonly day: Day;
  readonly public_key: Buffer;
  readonly published_at: string;
  readonly destroyed_at: string | null;
  /** Of the order to shred it. */
  readonly ticket: string | null;
  readonly shred_finished_at: string | null;
  readonly data_keys: number;
  readonly first_data_key_at: string | null;
  readonly last_data_key_at: string | null;
  readonly attached: boolean;
  /** There is a table of the day, attached or not. */
  readonly has_table: boolean;
  readonly archive_state: ArchiveState | null;
}

/**
 * Every day that has or had a key, oldest first, or the one given. Reads day_keys and data_keys whole (by the primary key and data_keys_day
 * for one day), of partitions only that they are there.
 */
export function listKeyDays(table: string, day: Day | undefined): SQL<KeyDay> {
  const one = day === undefined ? sql`` : sql`where day_keys.day = ${day}`;
  return sql`select to_char(day_keys.day, 'YYYY-MM-DD') as day, public_key, ${iso(sql`day_keys.created_at`)} as published_at,
      ${iso(sql`destroyed_at`)} as destroyed_at, shreds.ticket, ${iso(sql`shreds.finished_at`)} as shred_finished_at,
      coalesce(made.count, 0)::integer as data_keys, ${iso(sql`made.first_at`)} as first_data_key_at,
      ${iso(sql`made.last_at`)} as last_data_key_at,
      coalesce(part.attached, false) as attached, part.relname is not null as has_table, archives.state as archive_state
    from day_keys
    left join shreds on shreds.scope = 'day' and shreds.day = day_keys.day
    left join archives on archives.table_name = ${table} and archives.day = day_keys.day
    left join lateral (
      select count(*) as count, min(created_at) as first_at, max(created_at) as last_at
      from data_keys where data_keys.day = day_keys.day
    ) made on true
    left join lateral (
      select relname, exists (
          select from pg_inherits where inhrelid = pg_class.oid and inhparent = ${table}::regclass and not inhdetachpending
        ) as attached
      from pg_class
      where relname = ${`${table}_`} || to_char(day_keys.day, 'YYYYMMDD')
        and relnamespace = (select relnamespace from pg_class where oid = ${table}::regclass)
    ) part on true
    ${one}
    order by day_keys.day`;
}

function iso(column: SQL): SQL {
  return sql`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
}
