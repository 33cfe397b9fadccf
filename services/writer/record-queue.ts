import { setImmediate } from 'node:timers/promises';
import type { Slice } from '../../db/rows/encode.ts';
import type { FetchedBatch, IncomingRecord } from '../../shared/kafka/ports.ts';
import { recordSize } from '../../shared/kafka/record-size.ts';

/** A batch, and the {@link RecordQueue.generation} it was queued in: when the queue has moved on, drop it. */
export interface Taken {
  readonly slices: readonly Slice[];
  readonly generation: number;
}

/** What a record costs in memory besides its key and value, which are not objects before they are looked at; rounded up. */
const overheadBytes = 150;

export function recordBytes(record: IncomingRecord): number {
  return recordSize(record) + overheadBytes;
}

/** A waiting consumer looks up this often, to heartbeat. A third of the heartbeat interval at most. */
const lookUpMs = 300;

/**
 * What the consumer has fetched and the writer has not yet taken. **Bounded in bytes**: a batch is let in only while there is
 * room, so at most one fetched batch lies beyond the bound.
 */
export class RecordQueue {
  readonly #maxBytes: number;
  #slices: Slice[] = [];
  #records = 0;
  #bytes = 0;
  #firstAt = 0;
  #generation = 0;
  #closed = false;
  readonly #changed = new Set<() => void>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get records(): number {
    return this.#records;
  }

  /** Counts the assignments, so to speak: goes up with every {@link clear}. */
  get generation(): number {
    return this.#generation;
  }

  /** At so many bytes no more is taken. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Waits for room and queues the batch; `alive` is called while it waits and may throw, which gives up the batch.
   * A batch that was waiting when the queue was cleared or closed is dropped: it belongs to an earlier assignment.
   */
  async offer(batch: FetchedBatch, alive: () => Promise<void>): Promise<void> {
    const generation = this.#generation;
    while (this.#bytes >= this.#maxBytes || this.#closed) {
      await this.#change(lookUpMs);
      await alive();
      if (generation !== this.#generation) return;
    }
    if (batch.records.length === 0) return;
    if (this.#records === 0) this.#firstAt = performance.now();
    this.#slices.push({ partition: batch.partition, records: batch.records });
    this.#records += batch.records.length;
    for (const record of batch.records) this.#bytes += recordBytes(record);
    this.#notify();
  }

  /**
   * The next batch to write: up to `maxRecords` or `maxBytes`, whichever first, waiting until that much is there or
   * `lingerMs` has passed since the first of it came. **Nobody waits for company while nothing is `busy`**: then it is what has come by now, with
   * what the same fetch brings; tell {@link wake} when that changes. Always at least one record. Undefined when `stop` aborts.
   */
  async take(
    limits: { maxRecords: number; maxBytes: number; lingerMs: number },
    stop: AbortSignal,
    busy: () => boolean = () => true,
  ): Promise<Taken | undefined> {
    while (!stop.aborted) {
      if (this.#records === 0) {
        await this.#change(undefined, stop);
        continue;
      }
      const wait = this.#firstAt + limits.lingerMs - performance.now();
      if (this.#records >= limits.maxRecords || this.#bytes >= limits.maxBytes || wait < 1) {
        return { slices: this.#cut(limits), generation: this.#generation };
      }
      if (busy()) {
        await this.#change(wait, stop);
        continue;
      }
      await setImmediate();
      if (this.#records > 0) return { slices: this.#cut(limits), generation: this.#generation };
    }
    return undefined;
  }

  /** Drops everything queued or waiting to be (the assignment changed). */
  clear(): void {
    this.#generation += 1;
    this.#slices = [];
    this.#records = 0;
    this.#bytes = 0;
    this.#notify();
  }

  /** Whoever waits in {@link take} looks again. */
  wake(): void {
    this.#notify();
  }

  /** Lets nothing in any more. */
  close(): void {
    this.#closed = true;
    this.#notify();
  }

  #cut(limits: { maxRecords: number; maxBytes: number }): Slice[] {
    const taken: Slice[] = [];
    let records = 0;
    let bytes = 0;
    while (this.#slices[0] !== undefined) {
      const slice = this.#slices[0];
      let count = 0;
      for (const record of slice.records) {
        const next = recordBytes(record);
        if (records + count >= limits.maxRecords || (records + count > 0 && bytes + next > limits.maxBytes))
          break;
        bytes += next;
        count += 1;
      }
      if (count === 0) break;
      records += count;
      taken.push({ partition: slice.partition, records: slice.records.slice(0, count) });
      if (count < slice.records.length) {
        this.#slices[0] = { partition: slice.partition, records: slice.records.slice(count) };
        break;
      }
      this.#slices.shift();
    }
    this.#records -= records;
    this.#bytes -= bytes;
    this.#notify();
    return taken;
  }

  /** Resolves at the next change, after `ms`, or when `signal` aborts. */
  #change(ms: number | undefined, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', finish);
        this.#changed.delete(finish);
        resolve();
      };
      const timer = ms === undefined ? undefined : setTimeout(finish, ms);
      signal?.addEventListener('abort', finish);
      this.#changed.add(finish);
    });
  }

  #notify(): void {
    for (const listener of this.#changed) listener();
  }
}
