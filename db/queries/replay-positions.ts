import { sql, type SQL } from 'drizzle-orm';
import { bigintArray, integerArray } from '../binary-array.ts';

/** Offsets of a partition, `to` excluded. */
interface Range {
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * How far a job has come in each of these ranges: the offset to go on from, in the order of the ranges. One probe of the primary key
 * (job, partition, first_offset) a range: the entry that begins last is the one that ends last.
 */
export function replayPositions(job: string, ranges: readonly Range[]): SQL<{ next: string }> {
  return sql`select coalesce(last.last_offset + 1, range.first) as next
    from unnest(${integerArray(ranges.map(({ partition }) => partition))}::integer[],
      ${bigintArray(ranges.map(({ from }) => from))}::bigint[], ${bigintArray(ranges.map(({ to }) => to))}::bigint[])
      with ordinality as range (partition, first, beyond, nth)
    left join lateral (
      select last_offset from replay_ledger
      where job = ${job} and partition = range.partition and first_offset >= range.first and first_offset < range.beyond
      order by first_offset desc limit 1
    ) last on true
    order by nth`;
}
