import { sql, type SQL } from 'drizzle-orm';

/** A table like another, partitioned by day as that one is, with its columns, defaults, constraints and indexes, and no partition yet. */
export function createShadowTable(table: string, shadow: string): SQL {
  return sql`create table ${sql.identifier(shadow)} (like ${sql.identifier(table)} including all)
    partition by range (create_date)`;
}
