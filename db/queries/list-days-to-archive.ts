import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/**
 * Days up to `last` that are to go into the archive, oldest first: partitions, but for those restored and to be kept a while, and days that are
 * on their way already, whatever their age.
 */
export function listDaysToArchive(table: string, last: Day): SQL<{ day: Day }> {
  return sql`select to_char(day, 'YYYY-MM-DD') as day from (
      select to_date(right(child.relname, 8), 'YYYYMMDD') as day
      from pg_inherits join pg_class child on child.oid = inhrelid
      where inhparent = ${table}::regclass and child.relname ~ '_[0-9]{8}$'
        and to_date(right(child.relname, 8), 'YYYYMMDD') <= ${last}
      except
      select day from archives
      where table_name = ${table} and ((state = 'restored' and keep_until > now()) or state = 'restoring')
      union
      select day from archives
      where table_name = ${table} and state in ('detaching', 'writing', 'moving_key', 'dropping')
    ) days
    order by 1`;
}
