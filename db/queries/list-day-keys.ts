import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** Which days from `first` to `last` have a key, by the primary key of day_keys. */
export function listDayKeys(first: Day, last: Day): SQL<{ day: Day }> {
  return sql`select day from day_keys where day between ${first} and ${last} order by day`;
}
