import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** What somebody must look after. Times are Unix time in seconds. */
export interface CustodyHorizon extends Record<string, unknown> {
  /** Days after today that have a partition, without a hole. */
  readonly partition_days: number;
  /** The same of keys. */
  readonly key_days: number;
  /** Days in day_keys whose key was, and was not, destroyed. */
  readonly live_keys: number;
  readonly destroyed_keys: number;
  /** Orders to shred that were cut off. */
  readonly unfinished_shreds: number;
  /** When a day was last archived. */
  readonly last_archive: number | null;
  /** When Postgres last archived a segment of its log, and how many it failed to; null where it archives none. */
  readonly last_wal: number | null;
  readonly wal_failures: number | null;
  /** The server's clock. */
  readonly now: number;
}

/** Reads catalogs and small tables. */
export function custodyHorizon(table: string, today: Day): SQL<CustodyHorizon> {
  const partitions = sql`select to_date(right(child.relname, 8), 'YYYYMMDD') as day
      from pg_inherits join pg_class child on child.oid = inhrelid
      where inhparent = ${table}::regclass and not inhdetachpending and child.relname ~ '_[0-9]{8}$'`;
  const keys = sql`select day from day_keys where destroyed_at is null`;
  return sql`select ${withoutHole(partitions, today)} as partition_days, ${withoutHole(keys, today)} as key_days,
      (select count(*)::integer from day_keys where destroyed_at is null) as live_keys,
      (select count(*)::integer from day_keys where destroyed_at is not null) as destroyed_keys,
      (select count(*)::integer from shreds where finished_at is null) as unfinished_shreds,
      (select extract(epoch from max(archived_at))::float8 from archives where table_name = ${table}) as last_archive,
      case when archiving then extract(epoch from last_archived_time)::float8 end as last_wal,
      case when archiving then failed_count::integer end as wal_failures,
      extract(epoch from clock_timestamp())::float8 as now
    from pg_stat_archiver, (select current_setting('archive_mode') <> 'off' as archiving) mode`;
}

/** The nth day after today is counted while it is the nth that is there. */
function withoutHole(days: SQL, today: Day): SQL {
  return sql`(
      select count(*)::integer
      from (select day - ${today}::date as ahead, row_number() over (order by day) as nth
        from (${days}) found where day > ${today}::date) numbered
      where ahead = nth
    )`;
}
