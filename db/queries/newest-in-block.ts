import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/**
 * When the newest row of one 8 KiB page of a day's partition came, in Unix time; null for a page without rows. By a TID range scan of that page
 * alone.
 */
export function newestInBlock(table: string, day: Day, block: number): SQL<{ at: number | null }> {
  return sql`select extract(epoch from max(ingested_at))::float8 as at from ${sql.identifier(table)}
    where create_date = ${day} and ctid >= ${`(${block},0)`}::tid and ctid < ${`(${block + 1},0)`}::tid`;
}
