import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';
import type { ShredTarget } from './insert-shred.ts';

/** An order as whoever carries it out needs it. Times are `YYYY-MM-DDTHH:MM:SSZ`. */
export interface ShredOrder extends Record<string, unknown> {
  readonly id: string;
  readonly ordered_at: string;
  /** The UTC date of it. */
  readonly ordered_on: Day;
  readonly finished_at: string | null;
  readonly ticket: string;
  readonly proof: unknown;
}

/**
 * The latest order about a target. Few rows: an order is what a person gave, so the table is read whole where it is not by the unique index
 * shreds_day.
 */
export function findShredOrder(target: ShredTarget): SQL<ShredOrder> {
  const condition =
    target.scope === 'day'
      ? sql`scope = 'day' and day = ${target.day}`
      : target.scope === 'user'
        ? sql`scope = 'user' and user_id = ${target.userId}`
        : sql`scope = 'token_epoch' and token_epoch = ${target.epoch}`;
  return sql`select id, ticket, proof, to_char(ordered_at at time zone 'UTC', 'YYYY-MM-DD') as ordered_on,
      to_char(ordered_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ordered_at,
      to_char(finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as finished_at
    from shreds where ${condition} order by id desc limit 1`;
}
