import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/**
 * The days whose rows are in a table, oldest first: those of its partitions, by the dates in their names; not of one that is being detached.
 * By pg_inherits_parent_index.
 */
export function listPartitionDays(table: string): SQL<{ day: Day }> {
  return sql`select to_char(to_date(right(child.relname, 8), 'YYYYMMDD'), 'YYYY-MM-DD') as day
    from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent = ${table}::regclass and not inhdetachpending and child.relname ~ '_[0-9]{8}$'
    order by child.relname`;
}
