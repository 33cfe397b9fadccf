import { sql, type SQL } from 'drizzle-orm';

/** A day's own table, unless it has gone already. */
export function dropTable(partition: string): SQL {
  return sql`drop table if exists ${sql.identifier(partition)}`;
}
