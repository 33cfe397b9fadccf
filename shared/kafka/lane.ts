import type { OutgoingRecord, PartitionBatch } from './ports.ts';

/** When a batch is full, whichever comes first. A single record beyond `maxBytes` goes alone. */
export interface BatchLimits {
  readonly maxRecords: number;
  readonly maxBytes: number;
}

interface Entry<T> {
  readonly record: OutgoingRecord;
  readonly item: T;
  readonly bytes: number;
}

/** What the record format adds to a record: varints of length, offset and timestamp deltas, key and value lengths. */
const recordOverheadBytes = 32;

/** Bytes a record takes in a batch before compression, rounded up. */
export function recordBytes(record: OutgoingRecord): number {
  let bytes = recordOverheadBytes + record.key.length + record.value.length;
  for (const name in record.headers) bytes += 10 + 3 * name.length + (record.headers[name]?.length ?? 0);
  return bytes;
}

/**
 * What one partition has yet to be acknowledged, in the order pushed. **At most one batch is out at a time, and what
 * is not acknowledged goes out again before anything pushed after it**; so the first copies of records are in order.
 */
export class Lane<T> {
  readonly partition: number;
  readonly #limits: BatchLimits;
  #waiting: Entry<T>[] = [];
  #waitingBytes = 0;
  #out: Entry<T>[] = [];
  #maxRecords: number;
  /** Failed attempts in a row at the batch that is out. */
  attempt = 0;
  /** A send is under way, or a wait before the next attempt. */
  busy = false;
  /** What waits has waited long enough. */
  due = false;
  /** Counts of all time. */
  pushed = 0;
  acked = 0;

  constructor(partition: number, limits: BatchLimits) {
    this.partition = partition;
    this.#limits = limits;
    this.#maxRecords = limits.maxRecords;
  }

  push(record: OutgoingRecord, item: T): number {
    const bytes = recordBytes(record);
    this.#waiting.push({ record, item, bytes });
    this.#waitingBytes += bytes;
    this.pushed += 1;
    return bytes;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether a batch should go out now. */
  get ready(): boolean {
    if (this.busy) return false;
    if (this.#out.length > 0) return true;
    if (this.#waiting.length === 0) return false;
    return (
      this.due ||
      this.#waiting.length >= this.#limits.maxRecords ||
      this.#waitingBytes >= this.#limits.maxBytes
    );
  }

  /** The batch to send: the one not acknowledged, or the next. Call only when ready. */
  take(): PartitionBatch {
    if (this.#out.length === 0) this.#out = this.#cut();
    return { partition: this.partition, records: this.#out.map((entry) => entry.record) };
  }

  /** The batch that is out is acknowledged: its items and bytes, and the next may go. */
  acknowledge(): { items: T[]; bytes: number } {
    const out = this.#out;
    this.#out = [];
    this.attempt = 0;
    this.acked += out.length;
    this.#maxRecords = Math.min(this.#limits.maxRecords, this.#maxRecords * 2);
    return { items: out.map((entry) => entry.item), bytes: out.reduce((sum, entry) => sum + entry.bytes, 0) };
  }

  /**
   * The broker takes no batch of this size: the next attempt sends half of it. False when it was a single record.
   * A batch is measured after compression, so that only the broker knows.
   */
  halve(): boolean {
    if (this.#out.length < 2) return false;
    this.#maxRecords = Math.ceil(this.#out.length / 2);
    this.#waiting = this.#out.concat(this.#waiting);
    for (const entry of this.#out) this.#waitingBytes += entry.bytes;
    this.#out = [];
    this.due = true;
    return true;
  }

  /** Every item not acknowledged, in order. */
  unacknowledged(): T[] {
    return this.#out.concat(this.#waiting).map((entry) => entry.item);
  }

  #cut(): Entry<T>[] {
    let count = 0;
    let bytes = 0;
    for (const entry of this.#waiting) {
      if (count > 0 && (count >= this.#maxRecords || bytes + entry.bytes > this.#limits.maxBytes)) break;
      count += 1;
      bytes += entry.bytes;
    }
    const batch = this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    if (this.#waiting.length === 0) this.due = false;
    return batch;
  }
}
