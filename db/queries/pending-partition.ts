import { sql, type SQL } from 'drizzle-orm';

/**
 * The partition whose detach was cut off, if there is one: there is never a second, and until it is finished no other can be detached
 * concurrently. Its rows are already out of sight. By pg_inherits_parent_index.
 */
export function pendingPartition(table: string): SQL<{ name: string }> {
  return sql`select child.relname as name
    from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent = ${table}::regclass and inhdetachpending`;
}
