import { sql, type SQL } from 'drizzle-orm';

/** How many days of a table lie in an archive. Reads archives. */
export function countArchivedDays(table: string): SQL<{ days: number }> {
  return sql`select count(*)::integer as days from archives where table_name = ${table} and state = 'archived'`;
}
