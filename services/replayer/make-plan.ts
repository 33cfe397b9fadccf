import type { Session } from '../../db/client.ts';
import { countSentRows } from '../../db/queries/count-sent-rows.ts';
import { describeDays, type DescribedDay } from '../../db/queries/describe-days.ts';
import { lastReplayRate } from '../../db/queries/replay-job.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { topicOffsets } from '../../shared/kafka/offsets.ts';
import { readRange, resolveRange } from '../../shared/kafka/read-range.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { addDays, dayOf, horizon, type Clock, type Day } from '../../shared/time.ts';
import type { PartitionRange } from './offset-ranges.ts';
import { filterOf, type ReplayPlan } from './plan.ts';
import { dayOfRecord, selectorOf } from './select.ts';
import { targetOf } from './target.ts';

/** Whether a day takes rows: `late` will when "sluice maintain" has run, the others will not. */
export type DayState = 'open' | 'late' | 'shredded' | 'archived' | 'past' | 'ahead';

export interface PlannedDay {
  /** `none`: records whose time is none. */
  readonly day: string;
  readonly state: DayState;
  /** Selected records of the ranges. */
  readonly records: number;
  /** Rows that the target has of that day, of those sent within the plan's time. */
  readonly present: number;
}

export interface Planned {
  readonly plan: ReplayPlan;
  readonly days: readonly PlannedDay[];
  /** What an operator should know: a sentence each. */
  readonly notes: readonly string[];
  /** Why it cannot be run as it is. */
  readonly refusals: readonly string[];
  readonly records: number;
  /** Records a second that the duration was reckoned with, and whether they were measured. */
  readonly perSecond: number;
  readonly measured: boolean;
  readonly seconds: number;
}

export interface PlanParts<M> {
  readonly client: KafkaClient;
  readonly session: Session;
  readonly stream: Stream<M>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onRead: (offsets: number) => void;
}

/** A plan but for what looking at topic and database says. */
export type PlanRequest = Omit<ReplayPlan, 'ranges' | 'expected' | 'plannedAt' | 'transform'> & {
  /** Undefined: all that the time asks for, of these partitions. */
  readonly offsets: readonly PartitionRange[] | undefined;
  readonly partitions: readonly number[] | undefined;
  readonly transform: number | undefined;
};

/** Before any job has told how fast this machine is: on the safe side of what two cores do. */
const assumedPerSecond = 10_000;

/**
 * Looks at what a replay would read: every record of the range, unopened, in no group. **Writes nothing, to Kafka or Postgres.** Where the range
 * was asked for by time, it is cut to the first and the last record of it in each partition.
 *
 * @throws PipelineError USAGE, REPLAY_PLAN, of Kafka or the database
 */
export async function makePlan<M>(parts: PlanParts<M>, request: PlanRequest): Promise<Planned> {
  const { stream, session, clock } = parts;
  const { offsets, partitions, transform = stream.transform, ...rest } = request;
  if (transform !== stream.transform) {
    throw new PipelineError(
      'REPLAY_PLAN',
      `this version of Sluice has transform ${stream.transform} of ${stream.name}`,
    );
  }
  const draft: ReplayPlan = {
    ...rest,
    transform,
    ranges: [],
    expected: [],
    plannedAt: new Date(clock()).toISOString(),
  };
  const notes: string[] = [];
  const asked = await askedRanges(parts, draft, { offsets, partitions }, notes);
  const scanned = await scan(parts, draft, asked, offsets === undefined);
  const plan: ReplayPlan = {
    ...draft,
    ranges: scanned.ranges.map(({ partition, from, to }) => ({ partition, from: `${from}`, to: `${to}` })),
    expected: scanned.expected,
  };
  const { days, refusals } = await daysOf(parts, plan, notes);
  const { rows } = await session.execute(lastReplayRate());
  const known = rows[0]?.rate ?? undefined;
  const perSecond = Math.min(plan.perSecond ?? Infinity, Math.round(known ?? assumedPerSecond));
  const total = scanned.ranges.reduce((sum, { from, to }) => sum + Number(to - from), 0);
  return {
    plan,
    days,
    notes,
    refusals,
    records: days.reduce((sum, { records }) => sum + records, 0),
    perSecond,
    measured: known !== undefined,
    seconds: total / perSecond,
  };
}

/** The offsets that are there, of those asked for: up to where the topic ends now. */
async function askedRanges<M>(
  { client }: PlanParts<M>,
  plan: ReplayPlan,
  asked: Pick<PlanRequest, 'offsets' | 'partitions'>,
  notes: string[],
): Promise<PartitionRange[]> {
  const { topic } = plan;
  const ends = await topicOffsets(client, topic);
  const gone = (partition: number, low: bigint) =>
    notes.push(`partition ${partition}: retention has taken the offsets before ${low}`);
  if (asked.offsets === undefined) {
    const { fromMs } = filterOf(plan);
    const resolved = await resolveRange(client, topic, { partitions: asked.partitions, fromMs });
    for (const [partition, { from }] of resolved) {
      const low = ends.get(partition)?.low ?? 0n;
      if (low > 0n && from === low) gone(partition, low);
    }
    return [...resolved].map(([partition, range]) => ({ partition, from: range.from, to: range.to }));
  }
  const ranges: PartitionRange[] = [];
  for (const { partition, from, to } of asked.offsets) {
    const end = ends.get(partition);
    if (end === undefined) throw new PipelineError('USAGE', `topic ${topic} has no partition ${partition}`);
    if (to > end.high) {
      throw new PipelineError(
        'USAGE',
        `partition ${partition} ends at offset ${end.high}: nothing is there yet`,
      );
    }
    if (asked.partitions?.includes(partition) === false) continue;
    if (from < end.low) gone(partition, end.low);
    const start = from < end.low ? end.low : from;
    if (start < to) ranges.push({ partition, from: start, to });
  }
  return ranges;
}

/** Reads the ranges and counts. `narrow`: to the first and last selected record of each. */
async function scan<M>(
  { client, signal, onRead }: PlanParts<M>,
  plan: ReplayPlan,
  asked: readonly PartitionRange[],
  narrow: boolean,
): Promise<{ ranges: PartitionRange[]; expected: ReplayPlan['expected'] }> {
  const selects = selectorOf(plan);
  const counts = new Map<number, Map<string, number>>();
  const ranges: PartitionRange[] = [];
  for (const range of asked) {
    const { partition } = range;
    const days = counts.get(partition) ?? new Map<string, number>();
    counts.set(partition, days);
    let [first, last] = [range.to, range.from - 1n];
    for await (const { records } of readRange(client, plan.topic, new Map([[partition, range]]), {
      signal,
    })) {
      for (const record of records) {
        if (!selects(record)) continue;
        if (record.offset < first) first = record.offset;
        last = record.offset;
        const day = dayOfRecord(record);
        days.set(day, (days.get(day) ?? 0) + 1);
      }
      onRead(records.length);
    }
    if (!narrow) ranges.push(range);
    else if (first <= last) ranges.push({ partition, from: first, to: last + 1n });
  }
  if (signal.aborted) throw new PipelineError('REPLAY_STATE', 'stopped before the plan was made');
  const expected = [...counts].flatMap(([partition, days]) =>
    [...days].toSorted(byDay).map(([day, records]) => ({ partition, day, records })),
  );
  return { ranges, expected };
}

async function daysOf<M>(
  { session, stream, clock }: PlanParts<M>,
  plan: ReplayPlan,
  notes: string[],
): Promise<{ days: PlannedDay[]; refusals: string[] }> {
  const records = new Map<string, number>();
  for (const { day, records: count } of plan.expected) records.set(day, (records.get(day) ?? 0) + count);
  const states = await dayStates(session, stream, [...records.keys()], dayOf(clock()));
  const { fromMs, toMs } = filterOf(plan);
  const { table } = targetOf(stream, plan);
  const days: PlannedDay[] = [];
  const refusals: string[] = [];
  for (const [day, count] of [...records].toSorted(byDay)) {
    const state = states.get(day) ?? 'ahead';
    const { rows } =
      state === 'open' && plan.target !== 'shadow'
        ? await session.execute(countSentRows(table, day, { fromMs, toMs }))
        : { rows: [] };
    days.push({ day, state, records: count, present: Number(rows[0]?.rows ?? 0) });
    if (state === 'late') notes.push(`${day}: run "sluice maintain" first, or the replay waits for it`);
    else if (state !== 'open') (plan.acceptDead ? notes : refusals).push(`${day}: ${sentences[state]}`);
  }
  return { days, refusals };
}

function byDay([a]: [string, number], [b]: [string, number]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const sentences: Readonly<Record<Exclude<DayState, 'open' | 'late'>, string>> = {
  shredded: 'has been shredded: its records become no rows, now or ever',
  archived: 'lies in the archive: "sluice restore" brings it back',
  past: 'lies before the horizon and has no partition: its records become no rows',
  ahead: 'is no day that is stored: its records become no rows',
};

/** Whether days take rows. What is no day never does. @throws PipelineError of the database */
export async function dayStates<M>(
  session: Session,
  stream: Stream<M>,
  days: readonly string[],
  today: Day,
): Promise<Map<string, DayState>> {
  const real = days.filter((day) => day !== 'none');
  const { rows } = await session.execute(describeDays(stream.name, real));
  return new Map(rows.map((row) => [row.day, stateOf(row, today)]));
}

function stateOf(found: DescribedDay, today: Day): DayState {
  if (found.shredded) return 'shredded';
  if (found.archived) return 'archived';
  if (found.has_key && found.has_partition) return 'open';
  if (found.day < addDays(today, -horizon.daysBack)) return 'past';
  return found.day > addDays(today, horizon.daysAhead) ? 'ahead' : 'late';
}
