import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** A row's way from SentTimestamp to its commit, in seconds, and when that was, in Unix time. */
export interface LatencySample extends Record<string, unknown> {
  readonly at: number;
  readonly seconds: number;
}

/** More rows than this a page of 8 KiB does not hold: sealed, they are more than 250 bytes each. */
const rowsPerBlock = 40;

/** The rows of some pages of a day's partition that came after `sinceEpoch`. By a TID scan of those pages alone. */
export function sampleLatency(
  table: string,
  day: Day,
  blocks: readonly number[],
  sinceEpoch: number,
): SQL<LatencySample> {
  return sql`select extract(epoch from ingested_at)::float8 as at,
      greatest(extract(epoch from ingested_at - sent_at), 0)::float8 as seconds
    from ${sql.identifier(table)}
    where create_date = ${day} and ingested_at >= to_timestamp(${sinceEpoch}) and ctid = any(array(
      select format('(%s,%s)', block, line)::tid
      from unnest(${sql.param(blocks)}::bigint[]) block, generate_series(1, ${rowsPerBlock}::integer) line
    ))`;
}
