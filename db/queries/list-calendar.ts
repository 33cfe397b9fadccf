import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';
import type { ArchiveState } from './find-archive.ts';

/** What there is of a day. */
export interface CalendarDay extends Record<string, unknown> {
  readonly day: Day;
  /** Its rows are in the table: it has a partition. */
  readonly partition: boolean;
  /** Of its rows, without indexes; 0 without a partition. */
  readonly bytes: number;
  readonly key: 'there' | 'shredded' | 'none';
  readonly archive: ArchiveState | null;
}

/** Every day from `from` to `to`, both included. Reads catalogs, the rest by primary keys; asks the file system how large each partition is. */
export function listCalendar(table: string, from: Day, to: Day): SQL<CalendarDay> {
  return sql`select to_char(days.day, 'YYYY-MM-DD') as day, part.oid is not null as partition,
      coalesce(pg_relation_size(part.oid), 0)::float8 as bytes,
      case when day_keys.day is null then 'none' when destroyed_at is null then 'there' else 'shredded' end as key,
      archives.state as archive
    from (select ${from}::date + n as day from generate_series(0, ${to}::date - ${from}::date) n) days
    left join (
      select to_date(right(child.relname, 8), 'YYYYMMDD') as day, child.oid
      from pg_inherits join pg_class child on child.oid = inhrelid
      where inhparent = ${table}::regclass and not inhdetachpending and child.relname ~ '_[0-9]{8}$'
    ) part on part.day = days.day
    left join day_keys on day_keys.day = days.day
    left join archives on archives.table_name = ${table} and archives.day = days.day
    order by days.day`;
}
