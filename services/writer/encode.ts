import type { RowColumns } from '../../db/queries/insert-rows.ts';
import type { LedgerEntry } from '../../db/queries/insert-ledger.ts';
import type { FieldSealer } from '../../shared/crypto/field.ts';
import type { Tokenizer } from '../../shared/crypto/token.ts';
import { sealedMarker, TransitSealer, type TransitIdentity } from '../../shared/crypto/transit.ts';
import type { DeadLetterCode } from '../../shared/errors.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import type { DeadLetterReason } from '../../shared/streams/dead-letter.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { dayNumber, dayOf, msPerDay, type Day } from '../../shared/time.ts';
import type { DataKeys } from './data-keys.ts';
import type { Slice } from './record-queue.ts';

/** A record that becomes no row. */
export interface DeadRecord {
  readonly partition: number;
  readonly record: IncomingRecord;
  readonly reason: DeadLetterReason;
}

/** A batch ready for Postgres. Row i came from partition `partitions[i]`. */
export interface EncodedBatch {
  readonly rows: RowColumns;
  readonly partitions: readonly number[];
  readonly dead: readonly DeadRecord[];
  /** One entry a partition, `inserted` counting every row: what is duplicate shows on insert. */
  readonly ledger: readonly LedgerEntry[];
}

/** Records already known to be dead letters, and whether their dead letter has been acknowledged. */
export type Verdicts = Map<IncomingRecord, { reason: DeadLetterReason; published: boolean }>;

/** What parses, opens, tokenises and seals; made once a process. */
export interface Encoding<M> {
  readonly stream: Stream<M>;
  readonly topic: string;
  readonly transit: TransitSealer;
  readonly tokenizer: Tokenizer;
  readonly dataKeys: DataKeys;
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
  const identities = slices.map((slice) => slice.records.map((record) => identityOf(record)));
  const sealers = await loadKeys(encoding, slices, identities);
  const batch = new BatchBuilder(encoding, sealers);
  for (const [s, slice] of slices.entries()) {
    for (const [r, record] of slice.records.entries()) {
      const known = verdicts.get(record);
      if (known === undefined) batch.add(slice.partition, record, identities[s]?.[r]);
      else batch.addDead(slice.partition, record, known.reason);
    }
  }
  return batch;
}

type Sealers = ReadonlyMap<number, FieldSealer | DeadLetterCode>;

async function loadKeys<M>(
  encoding: Encoding<M>,
  slices: readonly Slice[],
  identities: readonly (readonly (TransitIdentity | undefined)[])[],
): Promise<Sealers> {
  const sealers = new Map<number, FieldSealer | DeadLetterCode>();
  const transitDays = new Set<Day>();
  for (const [s, slice] of slices.entries()) {
    for (const [r, record] of slice.records.entries()) {
      const identity = identities[s]?.[r];
      if (identity === undefined) continue;
      const day = dayNumber(identity.sentAtMs);
      if (!sealers.has(day)) sealers.set(day, await encoding.dataKeys.sealerFor(dayOf(day * msPerDay)));
      const sealer = sealers.get(day);
      if (typeof sealer === 'object' && TransitSealer.dayOf(record.value) === sealer.day)
        transitDays.add(sealer.day);
    }
  }
  for (const day of transitDays) await encoding.transit.prepare(day);
  return sealers;
}

class BatchBuilder<M> implements EncodedBatch {
  readonly rows;
  readonly partitions: number[] = [];
  readonly dead: DeadRecord[] = [];
  readonly #encoding: Encoding<M>;
  readonly #sealers: Sealers;
  readonly #ledger = new Map<number, { -readonly [K in keyof LedgerEntry]: LedgerEntry[K] }>();

  constructor(encoding: Encoding<M>, sealers: Sealers) {
    this.#encoding = encoding;
    this.#sealers = sealers;
    const { clearColumns, personalFields } = encoding.stream;
    this.rows = {
      createDate: [] as string[],
      eventId: [] as string[],
      sentAtMs: [] as number[],
      dekId: [] as bigint[],
      clear: clearColumns.map((): (string | number | null)[] => []),
      masked: personalFields.map((): string[] => []),
      sealed: personalFields.map((): Buffer[] => []),
    };
  }

  get ledger(): LedgerEntry[] {
    return [...this.#ledger.values()];
  }

  add(partition: number, record: IncomingRecord, identity: TransitIdentity | undefined): void {
    if (identity === undefined)
      return this.addDead(partition, record, { code: 'IDENTITY_INVALID', stage: 'parse' });
    const sealer = this.#sealers.get(dayNumber(identity.sentAtMs)) ?? 'DAY_OUT_OF_RANGE';
    if (typeof sealer === 'string') return this.addDead(partition, record, { code: sealer, stage: 'parse' });
    const body = this.#open(record, identity, sealer.day);
    if (typeof body === 'string') return this.addDead(partition, record, { code: body, stage: 'parse' });
    const parsed = this.#encoding.stream.parse(body);
    if ('refusal' in parsed) return this.addDead(partition, record, { ...parsed.refusal, stage: 'parse' });
    this.#addRow(parsed.message, identity, sealer);
    this.partitions.push(partition);
    const entry = this.#count(partition, record);
    entry.inserted += 1;
    if (parsed.unknownFields > 0) entry.unknownFields += 1;
  }

  addDead(partition: number, record: IncomingRecord, reason: DeadLetterReason): void {
    this.dead.push({ partition, record, reason });
    this.#count(partition, record).dead += 1;
  }

  /** A sealed value names its day, but only the day of its identity is asked of the vault: a forged one must not make us wait. */
  #open(record: IncomingRecord, identity: TransitIdentity, day: Day): Buffer | DeadLetterCode {
    if (record.value[0] !== sealedMarker) return record.value;
    if (TransitSealer.dayOf(record.value) !== day) return 'TRANSIT_OPEN_FAILED';
    return this.#encoding.transit.open(record.value, identity);
  }

  #addRow(message: M, identity: TransitIdentity, sealer: FieldSealer): void {
    const { rows } = this;
    const { clearColumns, personalFields } = this.#encoding.stream;
    rows.createDate.push(sealer.day);
    rows.eventId.push(identity.eventId);
    rows.sentAtMs.push(identity.sentAtMs);
    rows.dekId.push(sealer.dekId);
    for (const [i, column] of clearColumns.entries()) rows.clear[i]?.push(column.value(message));
    for (const [i, field] of personalFields.entries()) {
      const value = field.value(message);
      rows.masked[i]?.push(this.#encoding.tokenizer.token(field.field, value));
      rows.sealed[i]?.push(sealer.seal(field.sealedColumn, identity.eventId, value));
    }
  }

  #count(partition: number, record: IncomingRecord) {
    let entry = this.#ledger.get(partition);
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
    entry.lastOffset = record.offset;
    entry.read += 1;
    return entry;
  }
}
