import { GrowingArray } from '../binary-array.ts';
import type { RowColumns } from '../queries/insert-rows.ts';
import type { LedgerEntry } from '../queries/insert-ledger.ts';
import { maxSealedBytes, type FieldSealer } from '../../shared/crypto/field.ts';
import type { Tokenizer } from '../../shared/crypto/token.ts';
import { sealedMarker, TransitSealer, type TransitIdentity } from '../../shared/crypto/transit.ts';
import { PipelineError, type DeadLetterCode } from '../../shared/errors.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import type { DeadLetterReason } from '../../shared/streams/dead-letter.ts';
import { identityOf, sentAtOf } from '../../shared/streams/identity.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { addDays, dayNumber, dayOf, horizon, msPerDay, type Clock, type Day } from '../../shared/time.ts';
import type { DataKeys } from './data-keys.ts';
import type { TokenEpochs, Tokenizers } from './token-epochs.ts';

/** Records of one partition, in offset order. */
export interface Slice {
  readonly partition: number;
  readonly records: readonly IncomingRecord[];
}

/** A record that becomes no row. */
export interface DeadRecord {
  readonly partition: number;
  readonly record: IncomingRecord;
  readonly reason: DeadLetterReason;
}

/** A record whose message is not {@link Encoding.wanted}. */
export interface FilteredRecord {
  readonly record: IncomingRecord;
  readonly day: Day;
}

/** A batch ready for Postgres. Row i came from partition `partitions[i]`. */
export interface EncodedBatch {
  readonly rows: RowColumns;
  readonly partitions: ArrayLike<number>;
  readonly dead: readonly DeadRecord[];
  /** Records that were not wanted. They count as read, and as nothing else. */
  readonly filtered: readonly FilteredRecord[];
  /** One entry a partition, `inserted` counting every row: what is duplicate shows on insert. */
  readonly ledger: readonly LedgerEntry[];
}

/** What an element of a column takes, with its length, as a rule. */
const expectedBytes = {
  date: 8,
  uuid: 20,
  time: 12,
  bigint: 12,
  integer: 8,
  text: 24,
  token: 32,
  sealed: 112,
};

const noSlice: Slice = { partition: -1, records: [] };

/** Records already known to be dead letters, and whether their dead letter has been acknowledged. */
export type Verdicts = Map<IncomingRecord, { reason: DeadLetterReason; published: boolean }>;

/** What parses, opens, tokenises and seals; made once a process. */
export interface Encoding<M> {
  readonly stream: Stream<M>;
  readonly topic: string;
  readonly transit: TransitSealer;
  readonly tokenEpochs: TokenEpochs;
  readonly dataKeys: DataKeys;
  readonly clock: Clock;
  /** Messages that become rows (default: all). */
  readonly wanted?: ((message: M) => boolean) | undefined;
}

/**
 * Turns raw records into columns: open the transit seal, parse and validate, canonicalise, token, seal. A record that fails is a
 * dead letter and leaves its neighbours alone. Loads the keys it needs first; from there on it does not wait.
 *
 * @throws PipelineError of action `retry` when a key cannot be had now: nothing has been decided, call again.
 */
export async function encode<M>(
  encoding: Encoding<M>,
  slices: readonly Slice[],
  verdicts: Verdicts,
): Promise<EncodedBatch> {
  const keys = await loadKeys(encoding, slices);
  const records = slices.reduce((sum, slice) => sum + slice.records.length, 0);
  const batch = new BatchBuilder(encoding, keys, records);
  for (let s = 0; s < slices.length; s += 1) {
    const { partition, records } = slices[s] ?? noSlice;
    for (let r = 0; r < records.length; r += 1) {
      const record = records[r];
      if (record === undefined) continue;
      const known = verdicts.size === 0 ? undefined : verdicts.get(record);
      if (known === undefined) batch.add(partition, record);
      else batch.addDead(partition, record, known.reason);
    }
  }
  return batch;
}

interface Keys {
  readonly sealers: ReadonlyMap<number, FieldSealer | DeadLetterCode>;
  readonly tokenizers: Tokenizers;
}

/**
 * Every key the batch needs. Keys are wiped when their time is up, whoever holds them, so those loaded first may be gone by the
 * time the last is there: **what is returned was live at the last look, and nothing may be awaited between here and its use**.
 */
async function loadKeys<M>(encoding: Encoding<M>, slices: readonly Slice[]): Promise<Keys> {
  for (;;) {
    const { sealers, transitDays } = await loadSealers(encoding, slices);
    const tokenizers = await encoding.tokenEpochs.tokenizers();
    const held = [...sealers.values(), tokenizers.current, tokenizers.prior];
    const gone = held.some((key) => typeof key === 'object' && key.retired);
    if (!gone && transitDays.every((day) => encoding.transit.holds(day))) return { sealers, tokenizers };
  }
}

async function loadSealers<M>(
  encoding: Encoding<M>,
  slices: readonly Slice[],
): Promise<{ sealers: Keys['sealers']; transitDays: Day[] }> {
  const sealers = new Map<number, FieldSealer | DeadLetterCode>();
  const transitDays = new Set<Day>();
  // Of which there is nothing more to learn: records of a day come together.
  let settled = Number.NaN;
  for (let s = 0; s < slices.length; s += 1) {
    const { records } = slices[s] ?? noSlice;
    for (let r = 0; r < records.length; r += 1) {
      const record = records[r];
      if (record === undefined || dayNumber(sentAtOf(record)) === settled) continue;
      const identity = identityOf(record);
      if (identity === undefined) continue;
      const day = dayNumber(identity.sentAtMs);
      if (!sealers.has(day)) sealers.set(day, await encoding.dataKeys.sealerFor(dayOf(day * msPerDay)));
      const sealer = sealers.get(day);
      if (typeof sealer !== 'object') continue;
      if (!transitDays.has(sealer.day) && TransitSealer.dayNumberOf(record.value) !== day) continue;
      transitDays.add(sealer.day);
      settled = day;
    }
  }
  const held: Day[] = [];
  for (const day of transitDays) if (await prepared(encoding, day)) held.push(day);
  return { sealers, transitDays: held };
}

/**
 * False for a day before the horizon whose transit key is not there any more: destroyed, all topics having let go of it, or with its
 * day. Nobody will make it again, so a late reader must not wait for it. @throws PipelineError KEY_MISSING inside the horizon
 */
async function prepared<M>({ transit, clock }: Encoding<M>, day: Day): Promise<boolean> {
  try {
    await transit.prepare(day);
    return true;
  } catch (error) {
    const destroyed = day < addDays(dayOf(clock()), -horizon.daysBack);
    if (destroyed && error instanceof PipelineError && error.code === 'KEY_MISSING') return false;
    throw error;
  }
}

type Counted = { -readonly [K in keyof LedgerEntry]: LedgerEntry[K] };

class BatchBuilder<M> implements EncodedBatch {
  readonly rows;
  readonly #partitions: Int32Array;
  readonly dead: DeadRecord[] = [];
  readonly filtered: FilteredRecord[] = [];
  readonly #encoding: Encoding<M>;
  readonly #keys: Keys;
  readonly #ledger = new Map<number, Counted>();
  /** Of the last record: those of a partition come together. */
  #counted: Counted | undefined;

  constructor(encoding: Encoding<M>, keys: Keys, records: number) {
    this.#encoding = encoding;
    this.#keys = keys;
    const { clearColumns, personalFields } = encoding.stream;
    const { current, prior } = keys.tokenizers;
    const tokens = () => personalFields.map(() => new GrowingArray('text', records * expectedBytes.token));
    this.#partitions = new Int32Array(records);
    this.rows = {
      epochs: { current: current.epoch, prior: prior?.epoch },
      createDate: new GrowingArray('date', records * expectedBytes.date),
      eventId: new GrowingArray('uuid', records * expectedBytes.uuid),
      sentAt: new GrowingArray('timestamptz', records * expectedBytes.time),
      dekId: new GrowingArray('int8', records * expectedBytes.bigint),
      clear: clearColumns.map((column) =>
        column.arrayType === 'integer[]'
          ? new GrowingArray('int4', records * expectedBytes.integer)
          : new GrowingArray('text', records * expectedBytes.text),
      ),
      masked: tokens(),
      // Outside a window there is no prior token, and no column for it in the statement.
      prior: prior === undefined ? [] : tokens(),
      sealed: personalFields.map(() => new GrowingArray('bytea', records * expectedBytes.sealed)),
    };
  }

  get partitions(): Int32Array {
    return this.#partitions.subarray(0, this.rows.eventId.length);
  }

  get ledger(): LedgerEntry[] {
    return [...this.#ledger.values()];
  }

  add(partition: number, record: IncomingRecord): void {
    const identity = identityOf(record);
    if (identity === undefined)
      return this.addDead(partition, record, { code: 'IDENTITY_INVALID', stage: 'parse' });
    const sealer = this.#keys.sealers.get(dayNumber(identity.sentAtMs)) ?? 'DAY_OUT_OF_RANGE';
    if (typeof sealer === 'string') return this.addDead(partition, record, { code: sealer, stage: 'parse' });
    const body = this.#open(record, identity);
    if (typeof body === 'string') return this.addDead(partition, record, { code: body, stage: 'parse' });
    const parsed = this.#encoding.stream.parse(body);
    if ('refusal' in parsed) return this.addDead(partition, record, { ...parsed.refusal, stage: 'parse' });
    if (this.#encoding.wanted?.(parsed.message) === false) {
      this.filtered.push({ record, day: sealer.day });
      this.#count(partition, record);
      return undefined;
    }
    this.#partitions[this.rows.eventId.length] = partition;
    this.#addRow(parsed.message, identity, sealer);
    const entry = this.#count(partition, record);
    entry.inserted += 1;
    if (parsed.unknownFields > 0) entry.unknownFields += 1;
  }

  addDead(partition: number, record: IncomingRecord, reason: DeadLetterReason): void {
    this.dead.push({ partition, record, reason });
    this.#count(partition, record).dead += 1;
  }

  /** A sealed value names its day, but only the day of its identity is asked of the vault: a forged one must not make us wait. */
  #open(record: IncomingRecord, identity: TransitIdentity): Buffer | DeadLetterCode {
    const { value } = record;
    if (value[0] !== sealedMarker) return value;
    if (TransitSealer.dayNumberOf(value) !== dayNumber(identity.sentAtMs)) return 'TRANSIT_OPEN_FAILED';
    return this.#encoding.transit.openInPlace(value, identity);
  }

  #addRow(message: M, identity: TransitIdentity, sealer: FieldSealer): void {
    const { rows } = this;
    const { clearColumns, personalFields } = this.#encoding.stream;
    rows.createDate.pushDate(dayNumber(identity.sentAtMs));
    rows.eventId.pushUuid(identity.eventId);
    rows.sentAt.pushTime(identity.sentAtMs);
    rows.dekId.pushBigint(sealer.dekId);
    for (let i = 0; i < clearColumns.length; i += 1) {
      const column = clearColumns[i];
      if (column === undefined) continue;
      if (column.arrayType === 'integer[]') rows.clear[i]?.pushInteger(column.value(message));
      else rows.clear[i]?.pushText(column.value(message));
    }
    const { current, prior } = this.#keys.tokenizers;
    for (let i = 0; i < personalFields.length; i += 1) {
      const field = personalFields[i];
      if (field === undefined) continue;
      const value = field.value(message);
      pushToken(rows.masked[i], current, field.field, value);
      if (prior !== undefined) pushToken(rows.prior[i], prior, field.field, value);
      const sealed = rows.sealed[i];
      if (sealed === undefined) continue;
      const at = sealed.open(maxSealedBytes(value));
      sealed.close(sealer.sealInto(sealed.bytes, at, field.sealedColumn, identity.eventId, value));
    }
  }

  #count(partition: number, record: IncomingRecord) {
    let entry = this.#counted?.partition === partition ? this.#counted : this.#ledger.get(partition);
    if (entry === undefined) {
      entry = {
        topic: this.#encoding.topic,
        partition,
        firstOffset: record.offset,
        lastOffset: record.offset,
        read: 0,
        inserted: 0,
        duplicate: 0,
        dead: 0,
        unknownFields: 0,
      };
      this.#ledger.set(partition, entry);
    }
    this.#counted = entry;
    entry.lastOffset = record.offset;
    entry.read += 1;
    return entry;
  }
}

function pushToken(
  column: GrowingArray | undefined,
  tokenizer: Tokenizer,
  field: string,
  value: string,
): void {
  if (column === undefined) return;
  const at = column.open(tokenizer.tokenBytes);
  column.close(tokenizer.tokenInto(column.bytes, at, field, value));
}
