import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';
import type { ArchiveState } from './find-archive.ts';

/** What became of a day, as far as recovery must know. */
export interface RecoveryDay extends Record<string, unknown> {
  readonly day: Day;
  /** Null for a day that never had a key. */
  readonly public_key: Buffer | null;
  /** Whether its rows are in the table. A partition that is being detached is not. */
  readonly attached: boolean;
  /** The day of the order to shred it, or of the destruction of its key. Null: it lives. */
  readonly shredded_on: Day | null;
  readonly ticket: string | null;
  readonly archive_state: ArchiveState | null;
}

/**
 * Every day between two that has or had a key, oldest first. By the primary keys of day_keys and archives, shreds_day and the
 * catalogue's index of names.
 */
export function listRecoveryDays(table: string, from: Day, to: Day): SQL<RecoveryDay> {
  return sql`select to_char(days.day, 'YYYY-MM-DD') as day, day_keys.public_key,
      exists (
        select from pg_inherits join pg_class partition on partition.oid = inhrelid
        where inhparent = ${table}::regclass and not inhdetachpending
          and partition.relname = ${table} || '_' || to_char(days.day, 'YYYYMMDD')
      ) as attached,
      to_char(coalesce(shreds.ordered_at, day_keys.destroyed_at) at time zone 'UTC', 'YYYY-MM-DD') as shredded_on,
      shreds.ticket, archives.state as archive_state
    from (
      select day from day_keys
      union select day from archives where table_name = ${table}
      union select day from shreds where scope = 'day'
    ) days
    left join day_keys on day_keys.day = days.day
    left join shreds on shreds.scope = 'day' and shreds.day = days.day
    left join archives on archives.table_name = ${table} and archives.day = days.day
    where days.day between ${from} and ${to}
    order by days.day`;
}
