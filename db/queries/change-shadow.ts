import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

export interface ShadowEntry extends Record<string, unknown> {
  readonly job: string;
  readonly table_name: string;
  readonly shadow_name: string;
  /** ISO 8601, UTC, microseconds. */
  readonly planned_at: string;
}

/** Notes a shadow, unless its job or its name is taken. `plannedAt` undefined: now. */
export function insertShadow(job: string, table: string, name: string, plannedAt: Date | undefined): SQL {
  const planned = plannedAt === undefined ? sql`now()` : sql`${plannedAt.toISOString()}::timestamptz`;
  return sql`insert into shadows (job, table_name, shadow_name, planned_at) values (${job}, ${table}, ${name}, ${planned})
    on conflict do nothing`;
}

/** The shadows of a table, or the one of a job. Few rows. */
export function listShadows(table: string, job?: string): SQL<ShadowEntry> {
  return sql`select job, table_name, shadow_name,
      to_char(planned_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as planned_at
    from shadows where table_name = ${table} ${job === undefined ? sql`` : sql`and job = ${job}`}
    order by made_at, job`;
}

export interface SwapEntry extends Record<string, unknown> {
  readonly day: Day;
  readonly state: 'swapped' | 'unswapped';
  readonly newer_than: string;
  readonly carried: string;
  /** ISO 8601, UTC, seconds. */
  readonly at: string;
  readonly by: string;
}

/** The days of a job that changed places and are not cleaned up, oldest first. By the primary key. */
export function listSwaps(job: string): SQL<SwapEntry> {
  return sql`select to_char(day, 'YYYY-MM-DD') as day, state, newer_than, carried,
      to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at, by
    from shadow_swaps where job = ${job} and cleaned_at is null order by shadow_swaps.day`;
}

/** A day changes places. Part of the transaction that does it. */
export function noteSwap(
  job: string,
  day: Day,
  swap: { readonly state: SwapEntry['state']; readonly newerThan: string; readonly carried: number },
): SQL {
  return sql`insert into shadow_swaps (job, day, state, newer_than, carried)
    values (${job}, ${day}, ${swap.state}, ${swap.newerThan}, ${swap.carried})
    on conflict (job, day) do update set state = excluded.state, newer_than = excluded.newer_than,
      carried = excluded.carried, at = excluded.at, by = excluded.by, cleaned_at = null`;
}

/** What a job left aside is gone; what it did stays written. */
export function noteCleaned(job: string): SQL {
  return sql`update shadow_swaps set cleaned_at = now() where job = ${job} and cleaned_at is null`;
}

export function deleteShadow(job: string): SQL {
  return sql`delete from shadows where job = ${job}`;
}
