import type { InsertedBatch, ReplayBatch, ReplayDead } from '../../db/queries/insert-replay-batch.ts';
import type { RowColumns } from '../../db/queries/insert-rows.ts';
import type { DeadRecord, EncodedBatch, Slice, Verdicts } from '../../db/rows/encode.ts';
import type { Encoder } from '../../db/rows/encoder.ts';
import { makeDurable } from '../../db/rows/process-batch.ts';
import type { RefusedRow } from '../../db/rows/refused-rows.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import type { Outage } from '../../shared/outage.ts';
import type { Governor } from './governor.ts';
import type { ReplayObserver } from './observe.ts';
import type { PartitionRange } from './offset-ranges.ts';
import type { RecordBatch } from './read-batches.ts';
import { dayOfRecord, type Selects } from './select.ts';

/** Where a replay puts rows and ledger. */
export interface ReplayStore {
  /**
   * Both in one transaction. Resolves with what was new, also when only the answer of an earlier attempt was lost; undefined when another process
   * was first to go on from where the entry begins. @throws PipelineError of the database
   */
  insert(rows: RowColumns, entry: ReplayBatch): Promise<InsertedBatch | undefined>;
  /** Which of these rows are at fault. Writes nothing. @throws PipelineError */
  refused(
    rows: RowColumns,
    range: { readonly from: number; readonly to: number },
    refusalOf: Encoder['refusalOf'],
  ): Promise<RefusedRow[]>;
}

/** What a process works with on a job. */
export interface ReplayParts {
  readonly job: string;
  /** The records of a range, in batches that cover it. @throws PipelineError of Kafka */
  readonly read: (
    range: PartitionRange,
    options: { readonly maxRecords: () => number; readonly signal: AbortSignal },
  ) => AsyncIterable<RecordBatch>;
  readonly store: ReplayStore;
  readonly encoder: Encoder;
  readonly selects: Selects;
  readonly governor: Governor;
  readonly observer: ReplayObserver;
  readonly outages: Readonly<Record<'kafka' | 'keys' | 'postgres', Outage>>;
  readonly writtenBy: string;
  /** Waits while the job is paused. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
}

/** Another process went on from the same place: the position has to be looked up anew. Not an error. */
class Superseded extends Error {}

/**
 * Replays a range of one partition from its position on. Records are read, selected and encoded while the batch before is on its way into Postgres; **a
 * batch's rows and its ledger entry are one statement, and each entry begins where the one before it ended**, so whoever is cut off
 * anywhere is followed without a gap or an overlap. Outages are waited out.
 *
 * Ends at the end of the range, when `signal` aborts (what is under way is finished), or when another process has gone on from here.
 * @throws PipelineError of action `stop`, or of an outage that `force` ended
 */
export async function replayRange(
  parts: ReplayParts,
  range: PartitionRange,
  signals: { readonly signal: AbortSignal; readonly force: AbortSignal },
): Promise<void> {
  const writer = new RangeWriter(parts, range, signals.force);
  try {
    await parts.outages.kafka.waitOut(() => pass(parts, range, writer, signals), signals.signal);
  } catch (error) {
    const cut = error instanceof PipelineError && error.action === 'retry' && signals.signal.aborted;
    if (!cut) throw error;
  }
}

/** Reads from the position on to the end, once. What Kafka throws is thrown when all that was read before is durable. */
async function pass(
  parts: ReplayParts,
  range: PartitionRange,
  writer: RangeWriter,
  signals: { readonly signal: AbortSignal },
): Promise<void> {
  try {
    await readThrough(parts, range, writer, signals);
    await writer.settled();
  } catch (thrown) {
    const error: unknown = await writer.settled().then(
      () => thrown,
      (failed: unknown) => failed,
    );
    if (!(error instanceof Superseded)) throw error;
  }
}

async function readThrough(
  parts: ReplayParts,
  range: PartitionRange,
  writer: RangeWriter,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const { governor, outages, encoder } = parts;
  const left = { ...range, from: writer.position };
  const batches = parts.read(left, { maxRecords: () => governor.batchRecords, signal });
  for await (const batch of batches) {
    outages.kafka.succeeded();
    await parts.ready(signal);
    await governor.take(batch.records.length, signal);
    if (signal.aborted) break;
    const { wanted, skipped } = parted(batch.records, parts.selects);
    const slices: Slice[] = wanted.length === 0 ? [] : [{ partition: range.partition, records: wanted }];
    const verdicts: Verdicts = new Map();
    const encoded = await outages.keys.waitOut(() => encoder.encode(slices, verdicts), signal);
    await writer.settled();
    writer.write({ batch, slices, skipped, encoded, verdicts });
  }
}

function parted(records: readonly IncomingRecord[], selects: Selects) {
  const wanted: IncomingRecord[] = [];
  const skipped: IncomingRecord[] = [];
  for (const record of records) (selects(record) ? wanted : skipped).push(record);
  return { wanted, skipped };
}

interface Job {
  readonly batch: RecordBatch;
  readonly slices: readonly Slice[];
  /** Records of the batch that are not selected. */
  readonly skipped: readonly IncomingRecord[];
  readonly encoded: EncodedBatch;
  readonly verdicts: Verdicts;
}

/** Writes the batches of a range, one after another. **Its position is the end of what is durable.** */
class RangeWriter {
  readonly #parts: ReplayParts;
  readonly #partition: number;
  readonly #force: AbortSignal;
  #position: bigint;
  #writing: Promise<void> = Promise.resolve();

  constructor(parts: ReplayParts, range: PartitionRange, force: AbortSignal) {
    this.#parts = parts;
    this.#partition = range.partition;
    this.#position = range.from;
    this.#force = force;
  }

  get position(): bigint {
    return this.#position;
  }

  /** @throws what the write under way throws, or threw */
  settled(): Promise<void> {
    return this.#writing;
  }

  write(job: Job): void {
    this.#writing = this.#write(job);
    // Thrown where it is waited for.
    this.#writing.catch(() => {});
  }

  async #write({ batch, slices, skipped, encoded, verdicts }: Job): Promise<void> {
    const { encoder, outages, observer, store } = this.#parts;
    const observed = observer.batch(this.#partition, batch.records);
    const lastSelected = slices[0]?.records.at(-1)?.offset;
    let { missed } = batch;
    const insert = async (part: EncodedBatch) => {
      const reached = part.ledger[0]?.lastOffset;
      const last = reached === undefined || reached === lastSelected ? batch.last : reached;
      const entry = this.#entry(part, skipped, { last, missed });
      const result = await outages.postgres.waitOut(
        () => encoder.inserting(part, () => store.insert(part.rows, entry)),
        this.#force,
      );
      if (result === undefined) throw new Superseded();
      this.#position = last + 1n;
      missed = 0n;
      observed.inserted(entry, result);
      return [...part.ledger];
    };
    const steps = {
      encode: (again: readonly Slice[]) =>
        outages.keys.waitOut(() => encoder.encode(again, verdicts), this.#force),
      // The live writer has published it, or will: it stands in the ledger.
      publishDead: () => Promise.resolve(),
      insert,
      refused: ({ rows }: EncodedBatch, part: { readonly from: number; readonly to: number }) =>
        outages.postgres.waitOut(() => store.refused(rows, part, encoder.refusalOf), this.#force),
    };
    await observed.during(() => makeDurable(steps, slices, encoded, verdicts));
  }

  #entry(
    part: EncodedBatch,
    skipped: readonly IncomingRecord[],
    { last, missed }: { readonly last: bigint; readonly missed: bigint },
  ): ReplayBatch {
    const days = new DayCounter();
    for (const day of part.rows.createDate.days()) days.of(day).rows += 1;
    for (const { day } of part.filtered) days.of(day).filtered += 1;
    for (const { record } of part.dead) days.of(dayOfRecord(record)).dead += 1;
    for (const record of skipped) {
      const here = record.offset >= this.#position && record.offset <= last;
      if (here) days.of(dayOfRecord(record)).filtered += 1;
    }
    return {
      job: this.#parts.job,
      partition: this.#partition,
      first: this.#position,
      last,
      missed,
      unknownFields: part.ledger[0]?.unknownFields ?? 0,
      days: days.all,
      dead: part.dead.map(deadOf),
      writtenBy: this.#parts.writtenBy,
    };
  }
}

class DayCounter {
  readonly #days = new Map<string, { day: string; rows: number; dead: number; filtered: number }>();

  of(day: string) {
    let counts = this.#days.get(day);
    if (counts === undefined) this.#days.set(day, (counts = { day, rows: 0, dead: 0, filtered: 0 }));
    return counts;
  }

  get all() {
    return [...this.#days.values()];
  }
}

function deadOf({ record, reason }: DeadRecord): ReplayDead {
  const { code, stage, field, detail } = reason;
  return {
    offset: String(record.offset),
    day: dayOfRecord(record),
    code,
    stage,
    ...(field === undefined ? {} : { field }),
    ...(detail === undefined ? {} : { detail }),
  };
}
