import { sql, type SQL } from 'drizzle-orm';
import { integerArray, textArray } from '../binary-array.ts';

/** What a batch of a replay made of the records of a day. `rows`: those for which there is, or was, a row to insert. */
export interface ReplayDay {
  readonly day: string;
  readonly rows: number;
  readonly dead: number;
  readonly filtered: number;
}

/** A dead record of a replay, for those who look for it on the topic. Names and codes, never contents. */
export interface ReplayDead {
  readonly offset: string;
  readonly day: string;
  readonly code: string;
  readonly stage: string;
  readonly field?: string;
  readonly detail?: string;
}

/** A batch of one partition: offsets `first` to `last`, both included, and what was in them. */
export interface ReplayBatch {
  readonly job: string;
  readonly partition: number;
  readonly first: bigint;
  readonly last: bigint;
  readonly missed: bigint;
  readonly unknownFields: number;
  readonly days: readonly ReplayDay[];
  readonly dead: readonly ReplayDead[];
  readonly writtenBy: string;
}

/** By day: read, inserted, duplicate, dead, filtered. */
export type DayCounts = Readonly<Record<string, readonly [number, number, number, number, number]>>;

export interface InsertedBatch extends Record<string, unknown> {
  readonly inserted: number;
  readonly duplicate: number;
  readonly days: DayCounts;
}

/**
 * The rows of a batch and its ledger entry in one statement, which is one transaction and one round trip. `countMissing` returns `create_date` of each
 * row that was new: the statement of rowInserter with `returning create_date`, or for a dry run a select of those that are missing. `insertNew`
 * returns nothing: all its rows are new, or it fails with SQLSTATE 23505. So do both when the entry is there already: ours, of which the answer was
 * lost, or another's who was first.
 */
export function insertReplayBatch(
  rows: { readonly countMissing: SQL } | { readonly insertNew: SQL },
  batch: ReplayBatch,
): SQL<InsertedBatch> {
  const { days } = batch;
  const integers = (pick: (day: ReplayDay) => number) => sql`${integerArray(days.map(pick))}::integer[]`;
  const given = sql`unnest(${textArray(days.map(({ day }) => day))}::text[], ${integers((day) => day.rows)},
        ${integers(({ dead }) => dead)}, ${integers(({ filtered }) => filtered)}) as given (day, rows, dead, filtered)`;
  const counted =
    'insertNew' in rows
      ? sql`inserted as (${rows.insertNew}),
    days as (select day, rows, dead, filtered, rows as inserted from ${given})`
      : sql`inserted as (${rows.countMissing}),
    new_rows as (
      select to_char(create_date, 'YYYY-MM-DD') as day, count(*)::integer as inserted from inserted group by create_date
    ),
    days as (
      select day, rows, dead, filtered, coalesce(inserted, 0) as inserted from ${given} left join new_rows using (day)
    )`;
  return sql`with ${counted}
    insert into replay_ledger (job, partition, first_offset, last_offset, read, inserted, duplicate, dead, filtered, missed,
      unknown_fields, days, dead_records, written_by)
    select ${batch.job}, ${batch.partition}::integer, ${batch.first}::bigint, ${batch.last}::bigint,
      coalesce(sum(rows + dead + filtered), 0), coalesce(sum(inserted), 0), coalesce(sum(rows - inserted), 0),
      coalesce(sum(dead), 0), coalesce(sum(filtered), 0), ${batch.missed}::bigint, ${batch.unknownFields}::integer,
      coalesce(jsonb_object_agg(day, jsonb_build_array(rows + dead + filtered, inserted, rows - inserted, dead, filtered)), '{}'),
      ${JSON.stringify(batch.dead)}::jsonb, ${batch.writtenBy}
    from days
    returning inserted, duplicate, days`;
}
