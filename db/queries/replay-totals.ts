import { sql, type SQL } from 'drizzle-orm';

export interface ReplayDayTotals extends Record<string, unknown> {
  readonly partition: number;
  readonly day: string;
  readonly read: string;
  readonly inserted: string;
  readonly duplicate: string;
  readonly dead: string;
  readonly filtered: string;
}

/** What a job has done so far, by partition and day. Reads its ledger. */
export function replayTotals(job: string): SQL<ReplayDayTotals> {
  const sum = (index: number) => sql`sum((day.counts ->> ${sql.raw(String(index))})::bigint)`;
  return sql`select partition, day.day, ${sum(0)} as read, ${sum(1)} as inserted, ${sum(2)} as duplicate, ${sum(3)} as dead,
      ${sum(4)} as filtered
    from replay_ledger cross join jsonb_each(days) as day (day, counts)
    where job = ${job}
    group by partition, day.day
    order by partition, day.day`;
}

export interface ReplayRun extends Record<string, unknown> {
  readonly partition: number;
  readonly first_offset: string;
  readonly last_offset: string;
  readonly entries: string;
  readonly missed: string;
  readonly unknown_fields: string;
  /** Entries whose days do not add up to their counts. */
  readonly wrong: string;
  /** First and last time of writing, Unix time in seconds. */
  readonly began: number;
  readonly ended: number;
}

/** The runs of offsets that a job's ledger covers without hole or overlap, in order. Reads its ledger in the order of the primary key. */
export function replayRuns(job: string): SQL<ReplayRun> {
  return sql`with entries as (
      select *, first_offset is distinct from lag(last_offset) over each_partition + 1 as starts_run
      from replay_ledger where job = ${job}
      window each_partition as (partition by partition order by first_offset)
    ), numbered as (
      select *, count(*) filter (where starts_run) over (partition by partition order by first_offset) as run,
        (select coalesce(array_agg(total order by nth), '{0,0,0,0,0}') from (
          select nth, sum(amount::bigint) as total
          from jsonb_each(days) day, jsonb_array_elements_text(day.value) with ordinality as counts (amount, nth) group by nth
        ) sums) <> array[read, inserted, duplicate, dead, filtered]::numeric[] as wrong
      from entries
    )
    select partition, min(first_offset) as first_offset, max(last_offset) as last_offset, count(*) as entries, sum(missed) as missed,
      sum(unknown_fields) as unknown_fields, count(*) filter (where wrong) as wrong,
      extract(epoch from min(written_at))::float8 as began, extract(epoch from max(written_at))::float8 as ended
    from numbered group by partition, run order by partition, first_offset`;
}
