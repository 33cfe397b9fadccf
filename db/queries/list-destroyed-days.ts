import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** The days before `before` whose private keys have been destroyed. Reads day_keys. */
export function listDestroyedDays(before: Day): SQL<{ day: Day }> {
  return sql`select to_char(day, 'YYYY-MM-DD') as day from day_keys
    where destroyed_at is not null and day < ${before} order by day_keys.day`;
}
