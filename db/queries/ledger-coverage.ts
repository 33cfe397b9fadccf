import { sql, type SQL } from 'drizzle-orm';

/** A run of a partition's offsets that the ledger covers without a hole, both ends included, and the sums over its entries. */
export type LedgerRun = {
  partition: number;
  first_offset: string;
  last_offset: string;
  entries: string;
  read: string;
  inserted: string;
  duplicate: string;
  dead: string;
  unknown_fields: string;
  /** Entries whose counts do not add up, or that read fewer records than the range they cover has offsets. */
  wrong: string;
};

/**
 * The runs of every partition of a topic, in order: ranges that overlap or touch are one run ("gaps and islands"). Reads the ledger
 * once, in the order of ledger_topic_partition_first_offset (by sorting, when most of the ledger is this topic's), and returns a
 * row a run.
 */
export function ledgerCoverage(topic: string): SQL<LedgerRun> {
  return sql`
    with ranges as (
      select *, max(last_offset) over earlier as covered_to
      from ledger
      where topic = ${topic}
      window earlier as (
        partition by partition order by first_offset, id rows between unbounded preceding and 1 preceding
      )
    ),
    numbered as (
      select *, count(*) filter (where covered_to is null or first_offset > covered_to + 1)
        over (partition by partition order by first_offset, id rows unbounded preceding) as run
      from ranges
    )
    select partition, min(first_offset) as first_offset, max(last_offset) as last_offset, count(*) as entries,
      sum(read) as read, sum(inserted) as inserted, sum(duplicate) as duplicate, sum(dead) as dead,
      sum(unknown_fields) as unknown_fields,
      count(*) filter (
        where read <> inserted + duplicate + dead or read < last_offset - first_offset + 1
      ) as wrong
    from numbered
    group by partition, run
    order by partition, run`;
}
