import { sql, type SQL } from 'drizzle-orm';

/** The server's clock, in whole milliseconds since the epoch. */
export function databaseTime(): SQL<{ ms: number }> {
  return sql`select floor(extract(epoch from now()) * 1000)::float8 as ms`;
}
