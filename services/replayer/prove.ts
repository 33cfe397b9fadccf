import type { Database } from '../../db/client.ts';
import { executePage } from '../../db/keyset.ts';
import { checkReplayedRows } from '../../db/queries/check-replayed-rows.ts';
import { listReplayDead } from '../../db/queries/list-replay-dead.ts';
import { replayRuns, replayTotals, type ReplayRun } from '../../db/queries/replay-totals.ts';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { topicOffsets } from '../../shared/kafka/offsets.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { readRange } from '../../shared/kafka/read-range.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { dayOf, type Clock } from '../../shared/time.ts';
import { dayStates } from './make-plan.ts';
import { mergeRanges, type PartitionRange } from './offset-ranges.ts';
import { rangesOf, type ReplayPlan } from './plan.ts';
import { dayOfRecord, selectorOf } from './select.ts';
import { targetOf } from './target.ts';

/** What became of the records of a day, in a partition or in all. read = inserted + duplicate + dead + filtered. */
export interface ReplayCounts {
  readonly read: number;
  readonly inserted: number;
  readonly duplicate: number;
  readonly dead: number;
  readonly filtered: number;
}

export interface PartitionDay extends ReplayCounts {
  readonly partition: number;
  readonly day: string;
}

/** Of the rows of a job's records. Sums of hashes: equal rows have equal ones, in whatever order. */
export interface RowsChecksum {
  readonly rows: number;
  readonly identities: string;
  /** Of identities and tokens. */
  readonly tokens: string;
  /** What else changes tokens: epochs of the pepper, and users that were forgotten. */
  readonly epochs: readonly string[];
  readonly erased: number;
}

export interface ReplayProof extends ReplayCounts {
  readonly days: readonly PartitionDay[];
  readonly missed: number;
  readonly unknownFields: number;
  readonly checksum: RowsChecksum;
  /** Why it is not proven, in words. Empty: proven. */
  readonly problems: readonly string[];
  /** What could not be looked at, and why that is no contradiction. */
  readonly notes: readonly string[];
}

export interface ProofParts<M> {
  readonly client: KafkaClient;
  readonly database: Database;
  readonly stream: Stream<M>;
  readonly plan: ReplayPlan;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Waits until so many more records may be looked at. */
  readonly admit?: (records: number) => Promise<void>;
  readonly onRead?: (records: number) => void;
}

/**
 * Proves from the ledger and Kafka alone that a job dealt with every record of its plan, and that its rows are there: its entries tile the ranges without
 * gap or overlap and add up; the topic, read once more, has as many records of each day as they say; and each of these that was inserted or there before is a row
 * of the target now. Opens nothing.
 *
 * @throws PipelineError of the database or Kafka
 */
export async function proveReplay<M>(parts: ProofParts<M>): Promise<ReplayProof> {
  const { database, plan, client } = parts;
  const problems: string[] = [];
  const notes: string[] = [];
  const { rows: runs } = await database.execute(replayRuns(plan.job));
  const { rows: totals } = await database.execute(replayTotals(plan.job));
  problems.push(...tilingProblems(rangesOf(plan), runs));
  const days = totals.map((row) => ({
    partition: row.partition,
    day: row.day,
    read: Number(row.read),
    inserted: Number(row.inserted),
    duplicate: Number(row.duplicate),
    dead: Number(row.dead),
    filtered: Number(row.filtered),
  }));
  const ends = await topicOffsets(client, plan.topic);
  const lost = rangesOf(plan).some(({ partition, from }) => (ends.get(partition)?.low ?? 0n) > from);
  if (lost) notes.push('retention has taken records of the range: those are proven by the ledger alone');
  const seen = await readAgain(parts, notes);
  if (!lost) problems.push(...countProblems(plan, days, seen));
  const missed = runs.reduce((sum, run) => sum + Number(run.missed), 0);
  if (missed > 0) problems.push(`retention took ${missed} offsets before they were read`);
  const sum = (pick: keyof ReplayCounts) => days.reduce((total, day) => total + day[pick], 0);
  return {
    read: sum('read'),
    inserted: sum('inserted'),
    duplicate: sum('duplicate'),
    dead: sum('dead'),
    filtered: sum('filtered'),
    days,
    missed,
    unknownFields: runs.reduce((total, run) => total + Number(run.unknown_fields), 0),
    checksum: seen.checksum,
    problems,
    notes,
  };
}

/** The runs of the ledger are the ranges of the plan, no more and no less. */
function tilingProblems(ranges: readonly PartitionRange[], runs: readonly ReplayRun[]): string[] {
  const problems: string[] = [];
  const covered = runs.map(({ partition, first_offset, last_offset }) => ({
    partition,
    from: BigInt(first_offset),
    to: BigInt(last_offset) + 1n,
  }));
  // Two ranges of a plan may touch, and so do their runs.
  const text = (list: readonly PartitionRange[]) =>
    mergeRanges(list).map(({ partition, from, to }) => `${partition}:${from}-${to - 1n}`);
  const [planned, done] = [text(ranges), text(covered)];
  const missing = planned.filter((range) => !done.includes(range));
  if (missing.length > 0) problems.push(`the ledger does not cover ${missing.slice(0, 3).join(', ')} whole`);
  if (done.some((range) => !planned.includes(range)))
    problems.push('the ledger covers offsets that are not planned, or has a gap');
  const offsets = (list: readonly PartitionRange[]) =>
    list.reduce((sum, { from, to }) => sum + to - from, 0n);
  if (offsets(covered) !== offsets(mergeRanges(covered))) problems.push('entries of the ledger overlap');
  const wrong = runs.reduce((sum, run) => sum + Number(run.wrong), 0);
  if (wrong > 0) problems.push(`${wrong} entries of the ledger do not add up by day`);
  return problems;
}

interface Seen {
  /** By partition and day: records read, and those of them that are selected. */
  readonly counts: ReadonlyMap<string, { read: number; skipped: number; found: number }>;
  readonly checksum: RowsChecksum;
  /** Days whose rows cannot be looked for any more. */
  readonly closed: ReadonlySet<string>;
}

/** Reads the ranges once more, and looks for the row of each record that has one. */
async function readAgain<M>(parts: ProofParts<M>, notes: string[]): Promise<Seen> {
  const { client, database, stream, plan, signal, clock } = parts;
  const selects = selectorOf(plan);
  const { rows: dead } = await database.execute(listReplayDead(plan.job, undefined));
  const isDead = new Set(dead.map(({ partition, dead: { offset } }) => `${partition}/${offset}`));
  const states = await dayStates(
    database,
    stream,
    [...new Set(plan.expected.map(({ day }) => day))],
    dayOf(clock()),
  );
  const closed = new Set([...states].flatMap(([day, state]) => (state === 'open' ? [] : [day])));
  for (const [day, state] of states) {
    if (state === 'archived') notes.push(`${day} lies in the archive: its rows are not looked for`);
    if (state === 'shredded') notes.push(`${day} has been shredded: its rows are not looked for`);
  }
  const counts = new Map<string, { read: number; skipped: number; found: number }>();
  const rows = new RowChecker(parts, counts);
  for (const range of rangesOf(plan)) {
    const { partition } = range;
    const ranges = new Map([[partition, range]]);
    for await (const { records } of readRange(client, plan.topic, ranges, { signal })) {
      await parts.admit?.(records.length);
      const wanted: IncomingRecord[] = [];
      for (const record of records) {
        const count = countOf(counts, partition, dayOfRecord(record));
        count.read += 1;
        if (!selects(record)) count.skipped += 1;
        else if (!isDead.has(`${partition}/${record.offset}`)) wanted.push(record);
      }
      if (plan.target !== 'dry-run') await rows.check(partition, wanted, closed);
      parts.onRead?.(records.length);
    }
  }
  return { counts, checksum: rows.checksum, closed };
}

/** Looks for rows, a day and some thousands at a time, and adds up their checksum. */
class RowChecker<M> {
  readonly #parts: ProofParts<M>;
  readonly #counts: Map<string, { read: number; skipped: number; found: number }>;
  readonly #epochs = new Set<string>();
  #rows = 0;
  #erased = 0;
  #identities = 0n;
  #tokens = 0n;

  constructor(parts: ProofParts<M>, counts: Map<string, { read: number; skipped: number; found: number }>) {
    this.#parts = parts;
    this.#counts = counts;
  }

  get checksum(): RowsChecksum {
    const hex = (sum: bigint) => BigInt.asUintN(64, sum).toString(16).padStart(16, '0');
    return {
      rows: this.#rows,
      identities: hex(this.#identities),
      tokens: hex(this.#tokens),
      epochs: [...this.#epochs].toSorted(),
      erased: this.#erased,
    };
  }

  async check(
    partition: number,
    records: readonly IncomingRecord[],
    closed: ReadonlySet<string>,
  ): Promise<void> {
    const { database, stream, plan } = this.#parts;
    const { table } = targetOf(stream, plan);
    const byDay = new Map<string, string[]>();
    for (const record of records) {
      const identity = identityOf(record);
      if (identity === undefined) continue;
      const day = dayOfRecord(record, identity);
      if (closed.has(day)) continue;
      const ids = byDay.get(day) ?? [];
      byDay.set(day, ids);
      ids.push(identity.eventId);
    }
    for (const [day, eventIds] of byDay) {
      const what = { day, eventIds, userIds: plan.filter.userIds ?? undefined };
      const { rows } = await executePage(database, checkReplayedRows(stream, table, what));
      const [found] = rows;
      if (found === undefined) continue;
      countOf(this.#counts, partition, day).found += found.found;
      this.#rows += found.found;
      this.#erased += found.erased;
      this.#identities += BigInt(found.identities);
      this.#tokens += BigInt(found.tokens);
      for (const epoch of found.epochs) this.#epochs.add(epoch);
    }
  }
}

function countOf(
  counts: Map<string, { read: number; skipped: number; found: number }>,
  partition: number,
  day: string,
) {
  const key = `${partition} ${day}`;
  let count = counts.get(key);
  if (count === undefined) counts.set(key, (count = { read: 0, skipped: 0, found: 0 }));
  return count;
}

function countProblems(plan: ReplayPlan, days: readonly PartitionDay[], seen: Seen): string[] {
  const problems: string[] = [];
  const left = new Map(seen.counts);
  for (const { partition, day, read, inserted, duplicate, filtered } of days) {
    const where = `partition ${partition}, ${day}`;
    const found = left.get(`${partition} ${day}`) ?? { read: 0, skipped: 0, found: 0 };
    left.delete(`${partition} ${day}`);
    if (found.read !== read) problems.push(`${where}: read ${read}, and the topic has ${found.read}`);
    const filteredRight =
      plan.filter.userIds === null ? found.skipped === filtered : found.skipped <= filtered;
    if (!filteredRight)
      problems.push(`${where}: filtered ${filtered}, and ${found.skipped} are not selected`);
    const looked = plan.target !== 'dry-run' && !seen.closed.has(day);
    if (looked && found.found !== inserted + duplicate) {
      problems.push(`${where}: ${inserted + duplicate} rows were stored, and ${found.found} are there`);
    }
  }
  for (const [key, { read }] of left) {
    if (read > 0) problems.push(`partition ${key.replace(' ', ', ')}: ${read} records are not in the ledger`);
  }
  return problems;
}
