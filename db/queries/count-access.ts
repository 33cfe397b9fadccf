import { sql, type SQL } from 'drizzle-orm';

/** How many entries the access log has, by action. Reads it whole: it has one for everything that a person opened. */
export function countAccess(): SQL<{ action: string; entries: number }> {
  return sql`select action, count(*)::integer as entries from access_log group by action order by action`;
}
