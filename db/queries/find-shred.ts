import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** The order under which a day was shredded, or is being: for the sentence that says so. */
export interface DayShred extends Record<string, unknown> {
  readonly id: string;
  /** `YYYY-MM-DDTHH:MM:SSZ`. From then on nothing of the day is to be opened, whether or not the rest is done. */
  readonly ordered_at: string;
  /** Null while the order has not been carried out to its end: run `sluice shred` again. */
  readonly finished_at: string | null;
  readonly ticket: string;
}

/** The order to shred a day, if there is one, by the unique index shreds_day. */
export function findShred(day: Day): SQL<DayShred> {
  return sql`select id,
      to_char(ordered_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ordered_at,
      to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as finished_at,
      ticket
    from shreds where scope = 'day' and day = ${day}`;
}
