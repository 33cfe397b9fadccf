import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** The public half of a day's keypair, and whether its private half is destroyed; by the primary key of day_keys. */
export function findDayKey(day: Day): SQL<{ public_key: Buffer; destroyed: boolean }> {
  return sql`select public_key, destroyed_at is not null as destroyed from day_keys where day = ${day}`;
}
