import { sql, type SQL } from 'drizzle-orm';

/** What became of the records that were written in a minute. */
export interface LedgerMinute extends Record<string, unknown> {
  /** Its beginning, Unix time. */
  readonly at: number;
  readonly inserted: number;
  readonly duplicate: number;
  readonly dead: number;
  /** Of those inserted, in the last {@link lately} seconds. */
  readonly lately: number;
  /** Ledger entries: batches, as long as they have not been merged. */
  readonly entries: number;
}

/** Long enough to be smooth over batches, short enough to be the present. */
export const lately = 20;

/**
 * The last hour by minutes, from the newest `limit` entries of the ledger: backwards by the primary key, so it costs no more however long the
 * ledger is. Of an hour with more entries the beginning is missing.
 */
export function recentLedger(topic: string, limit: number): SQL<LedgerMinute> {
  return sql`select extract(epoch from date_trunc('minute', written_at))::float8 as at, sum(inserted)::float8 as inserted,
      sum(duplicate)::float8 as duplicate, sum(dead)::float8 as dead,
      coalesce(sum(inserted) filter (where written_at > now() - make_interval(secs => ${lately})), 0)::float8 as lately, count(*)::integer as entries
    from (select * from ledger order by id desc limit ${limit}) recent
    where topic = ${topic} and written_at > now() - interval '1 hour' and written_by <> 'compacted'
    group by 1 order by 1`;
}
