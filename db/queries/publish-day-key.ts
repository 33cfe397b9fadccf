import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** Publishes a day's public key, unless the day has one: the primary key of day_keys decides. The command tag says which. */
export function publishDayKey(day: Day, publicKey: Buffer): SQL {
  return sql`insert into day_keys (day, public_key) values (${day}, ${publicKey}) on conflict do nothing`;
}
