import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** How many data keys were sealed to a day's public key. By data_keys_day. */
export function countDataKeys(day: Day): SQL<{ count: string }> {
  return sql`select count(*) as count from data_keys where day = ${day}`;
}
