import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** A table of one day that has rows of a stream and is no part of its table: see db/shadow. */
export interface AsideTable extends Record<string, unknown> {
  /** `user_logins_shadow_<job>_20261124` or `user_logins_before_<job>_20261124`. */
  readonly name: string;
  /** The table that rights are given on: its parent while it is a partition of a shadow, else itself. */
  readonly reach: string;
  readonly day: Day;
}

/**
 * Every table of a backfill, by its name, so that it is found whatever else is known of it: shadows that are being filled, what they replaced, and
 * what came back. By day and name; of one day, when it is given. Reads pg_class.
 */
export function listAsideTables(table: string, day?: Day): SQL<AsideTable> {
  const one = day === undefined ? sql`` : sql`and right(child.relname, 8) = ${day.replaceAll('-', '')}`;
  return sql`select child.relname as name, coalesce(parent.relname, child.relname) as reach,
      to_char(to_date(right(child.relname, 8), 'YYYYMMDD'), 'YYYY-MM-DD') as day
    from pg_class child
    left join pg_inherits on inhrelid = child.oid
    left join pg_class parent on parent.oid = inhparent
    where child.relkind = 'r' and child.relname ~ '_[0-9]{8}$' ${one}
      and child.relnamespace = (select relnamespace from pg_class where oid = ${table}::regclass)
      and (starts_with(child.relname, ${`${table}_shadow_`}) or starts_with(child.relname, ${`${table}_before_`}))
    order by right(child.relname, 8), child.relname collate "C"`;
}
