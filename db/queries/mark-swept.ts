import { sql, type SQL } from 'drizzle-orm';

/** Orders after which everything has been cleared that had come until `at`. By the primary key. */
export function markSwept(ids: readonly string[], at: Date): SQL {
  return sql`update shreds set swept_at = ${at.toISOString()} where id = any(${sql.param(ids)}::bigint[])`;
}
