import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

export interface DescribedDay extends Record<string, unknown> {
  readonly day: Day;
  readonly has_key: boolean;
  readonly shredded: boolean;
  readonly archived: boolean;
  readonly has_partition: boolean;
}

/** Whether these days can take rows. By primary keys and the catalogue. */
export function describeDays(table: string, days: readonly Day[]): SQL<DescribedDay> {
  return sql`select to_char(given.day, 'YYYY-MM-DD') as day, day_keys.day is not null as has_key,
      day_keys.destroyed_at is not null as shredded,
      exists (
        select from archives where table_name = ${table} and archives.day = given.day and state <> 'restored'
      ) as archived,
      exists (
        select from pg_inherits join pg_class child on child.oid = inhrelid
        where inhparent = ${table}::regclass and not inhdetachpending
          and right(child.relname, 8) = to_char(given.day, 'YYYYMMDD')
      ) as has_partition
    from unnest(${sql.param(days)}::date[]) as given (day)
    left join day_keys on day_keys.day = given.day
    order by given.day`;
}
