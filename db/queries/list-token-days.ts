import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

export interface TokenDay extends Record<string, unknown> {
  readonly day: Day;
  readonly public_key: Buffer;
  /** Its private key is destroyed: nothing of it can be given another token. */
  readonly destroyed: boolean;
}

/** Every day that has or had a key, oldest first: whatever day has rows is among them. Reads day_keys. */
export function listTokenDays(): SQL<TokenDay> {
  return sql`select to_char(day, 'YYYY-MM-DD') as day, public_key, destroyed_at is not null as destroyed
    from day_keys order by day_keys.day`;
}
