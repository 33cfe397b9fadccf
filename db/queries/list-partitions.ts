import { sql, type SQL } from 'drizzle-orm';

/** The partitions of a table by name, oldest first when they are named by day. By pg_inherits_parent_index. */
export function listPartitions(table: string): SQL<{ name: string }> {
  return sql`select child.relname as name
    from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent = ${table}::regclass
    order by child.relname`;
}
