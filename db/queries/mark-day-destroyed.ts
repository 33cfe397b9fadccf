import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** From now on writers seal nothing to the day's key. The command tag is 0 when that was so, or when the day has no key. */
export function markDayDestroyed(day: Day): SQL {
  return sql`update day_keys set destroyed_at = now() where day = ${day} and destroyed_at is null`;
}
