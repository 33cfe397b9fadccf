import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** The public half of a day's keypair, by the primary key of day_keys. */
export function findDayKey(day: Day): SQL<{ public_key: Buffer }> {
  return sql`select public_key from day_keys where day = ${day}`;
}
