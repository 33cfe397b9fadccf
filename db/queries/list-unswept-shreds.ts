import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** An order after which rows may still come that it covers. Without its user's id. */
export interface UnsweptShred extends Record<string, unknown> {
  readonly id: string;
  readonly scope: 'day' | 'user';
  readonly day: Day | null;
  readonly ordered_on: Day;
  /** Never swept before. */
  readonly first: boolean;
  /** Of an order about a user: the days that had rows of theirs when it was finished. */
  readonly erased_days: readonly Day[] | null;
}

/**
 * Finished orders about a day given after `daysSince`, and about a user after `usersSince`, that have not been swept since `sweptBefore`; and every one that
 * has never been. Few rows, so the table is read whole.
 */
export function listUnsweptShreds(times: {
  readonly daysSince: Date;
  readonly usersSince: Date;
  readonly sweptBefore: Date;
}): SQL<UnsweptShred> {
  return sql`select id, scope, to_char(day, 'YYYY-MM-DD') as day,
      to_char(ordered_at at time zone 'UTC', 'YYYY-MM-DD') as ordered_on,
      swept_at is null as first,
      case when scope = 'user' then (select array_agg(key) from jsonb_object_keys(proof -> 'days') key) end as erased_days
    from shreds
    where scope <> 'token_epoch' and finished_at is not null and (swept_at is null or swept_at < ${times.sweptBefore.toISOString()}
      and ordered_at > case scope when 'day' then ${times.daysSince.toISOString()}::timestamptz
        else ${times.usersSince.toISOString()}::timestamptz end)
    order by id`;
}
