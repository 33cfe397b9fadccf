import { sql, type SQL } from 'drizzle-orm';

/**
 * Merges ledger entries older than `olderThanHours` whole hours: of each topic, partition and hour of writing, those whose ranges touch or
 * overlap become one, with their counts added up. **Ranges with a gap between them stay apart**, so what the ledger proves is the same before and
 * after; an entry that read
 * fewer records than its range has stays as it is, for it is evidence. One statement; the writer only inserts, so nothing it does can be lost in between. At most `limit` entries are looked at.
 * By the index on (topic, partition, first_offset) and a scan by written_at of what is left.
 */
export function compactLedger(
  olderThanHours: number,
  limit: number,
): SQL<{ entries: string; remain: string }> {
  return sql`with old as materialized (
      select * from ledger
      where written_at < date_trunc('hour', now()) - make_interval(hours => ${olderThanHours}) and written_by <> 'compacted'
        and read >= last_offset - first_offset + 1
      order by id limit ${limit}
    ), starts as (
      select *, date_trunc('hour', written_at) as hour,
        first_offset > max(last_offset) over earlier + 1 as starts_run
      from old
      window earlier as (
        partition by topic, partition, date_trunc('hour', written_at) order by first_offset, last_offset, id
        rows between unbounded preceding and 1 preceding
      )
    ), runs as (
      select *, count(*) filter (where starts_run) over (
        partition by topic, partition, hour order by first_offset, last_offset, id
      ) as run
      from starts
    ), removed as (
      delete from ledger using old where ledger.id = old.id returning ledger.id
    ), merged as (
      insert into ledger
        (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields, written_by, written_at)
      select topic, partition, min(first_offset), max(last_offset), sum(read), sum(inserted), sum(duplicate), sum(dead),
        sum(unknown_fields), 'compacted', max(written_at)
      from runs group by topic, partition, hour, run
      returning id
    )
    select (select count(*) from removed) as entries, (select count(*) from merged) as remain`;
}
