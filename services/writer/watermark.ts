import type { Position } from '../../shared/kafka/ports.ts';

interface Range {
  readonly last: bigint;
  durable: boolean;
}

/**
 * How far each partition is durable without a gap. Ranges are taken in offset order and become durable in any order;
 * **a position never passes a range that is not durable**. Offsets may have holes between ranges (compaction, transaction
 * markers): order decides, not arithmetic.
 *
 * taken 0–9, 10–19, 25–30; durable 10–19: position none; then durable 0–9: position 20; then 25–30: position 31.
 */
export class Watermark {
  readonly #ranges = new Map<number, Range[]>();
  readonly #position = new Map<number, bigint>();

  /** A range of a partition, both ends included, is on its way. @returns what marks it durable. */
  take(partition: number, last: bigint): () => void {
    const range: Range = { last, durable: false };
    let ranges = this.#ranges.get(partition);
    if (ranges === undefined) this.#ranges.set(partition, (ranges = []));
    ranges.push(range);
    return () => {
      range.durable = true;
      this.#advance(partition, ranges);
    };
  }

  /** Next offset to read, for every partition that has moved since the last {@link reset}. */
  get position(): Position {
    return this.#position;
  }

  /** The assignment changed: what was on its way counts no more, even when it becomes durable later. */
  reset(): void {
    this.#ranges.clear();
    this.#position.clear();
  }

  #advance(partition: number, ranges: Range[]): void {
    if (this.#ranges.get(partition) !== ranges) return;
    let durable = 0;
    while (ranges[durable]?.durable === true) durable += 1;
    const last = ranges[durable - 1]?.last;
    if (last === undefined) return;
    ranges.splice(0, durable);
    this.#position.set(partition, last + 1n);
  }
}
