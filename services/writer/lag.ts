import type { FetchedBatch, IncomingRecord } from '../../shared/kafka/ports.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { Clock } from '../../shared/time.ts';

/** By partition: where it ends, and the next offset that the group will read. */
export type Ends = ReadonlyMap<number, { readonly end: bigint; readonly next: bigint }>;

export interface PartitionLag {
  readonly partition: string;
  /** Not yet durable. */
  readonly records: number;
  /** Since the newest durable record was sent; undefined: nothing is known of a record yet. */
  readonly seconds: number | undefined;
}

/** What a fetch tells is old when fetching stops, which is when one wants to know. */
const followEveryMs = 15_000;

interface Place {
  end: bigint;
  /** The next offset that is not durable. */
  next: bigint | undefined;
  /** When the newest durable record was sent; before there is one, the first that was fetched. */
  sentAtMs: number | undefined;
}

/** How far behind the partitions of this writer are. */
export class Lag {
  readonly #clock: Clock;
  #places = new Map<number, Place>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get partitions(): number {
    return this.#places.size;
  }

  assigned(partitions: readonly number[]): void {
    this.#places = new Map(
      partitions.map((partition) => [partition, { end: -1n, next: undefined, sentAtMs: undefined }]),
    );
  }

  fetched({ partition, records, highWatermark }: FetchedBatch): void {
    const place = this.#places.get(partition);
    if (place === undefined) return;
    if (highWatermark > place.end) place.end = highWatermark;
    place.next ??= records[0]?.offset;
    place.sentAtMs ??= records[0]?.timestampMs;
  }

  /** Records of a partition, in offset order, are durable. */
  durable(partition: number, records: readonly IncomingRecord[]): void {
    const place = this.#places.get(partition);
    const last = records.at(-1);
    if (place === undefined || last === undefined) return;
    // Batches become durable in any order.
    if (place.next !== undefined && last.offset < place.next) return;
    place.next = last.offset + 1n;
    place.sentAtMs = last.timestampMs;
    if (place.end < place.next) place.end = place.next;
  }

  /** Asks where the partitions end until `signal` aborts. An answer that does not come is none. */
  async follow(ends: () => Promise<Ends>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const found = await ends().catch(() => undefined);
      for (const [partition, { end, next }] of found ?? []) {
        const place = this.#places.get(partition);
        if (place === undefined) continue;
        if (end > place.end) place.end = end;
        place.next ??= next;
      }
      await sleep(followEveryMs, signal);
    }
  }

  now(): PartitionLag[] {
    const lags: PartitionLag[] = [];
    for (const [partition, { end, next, sentAtMs }] of this.#places) {
      if (end < 0n) continue;
      const behind = end - (next ?? 0n);
      const records = behind > 0n ? Number(behind) : 0;
      const seconds =
        records === 0 ? 0 : sentAtMs === undefined ? undefined : (this.#clock() - sentAtMs) / 1_000;
      lags.push({ partition: String(partition), records, seconds });
    }
    return lags;
  }
}
