import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

export interface SealingDay extends Record<string, unknown> {
  readonly public_key: Buffer;
  /** Its private half is gone. */
  readonly destroyed: boolean;
  /** Its rows are in the archive, or on the way there or back. */
  readonly archived: boolean;
}

/** What a writer must know of a day before it seals to it. By the primary keys of day_keys and archives. */
export function findSealingDay(table: string, day: Day): SQL<SealingDay> {
  return sql`select public_key, destroyed_at is not null as destroyed,
      exists (
        select from archives where table_name = ${table} and archives.day = day_keys.day and state <> 'restored'
      ) as archived
    from day_keys where day = ${day}`;
}
