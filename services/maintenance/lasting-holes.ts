import type { LedgerRun } from '../../db/queries/ledger-coverage.ts';

/** A writer has several batches under way, which become durable in any order; one that waits for a retry closes its hole within this. */
const lastingMs = 300_000;

/**
 * Which holes of the ledger are worth an alarm: those that have been seen for five minutes. **A younger one is, as a rule, a batch that
 * is still under way**, or that the next owner of the partition reads again.
 */
export class LastingHoles {
  #seen: readonly { readonly place: string; readonly sinceMs: number }[] = [];

  /** There are some, lasting or not: worth looking again soon. */
  get any(): boolean {
    return this.#seen.length > 0;
  }

  /** Every run of a partition but its first begins after a hole. Returns how many last, at `nowMs`. */
  look(runs: readonly Pick<LedgerRun, 'partition' | 'first_offset'>[], nowMs: number): number {
    const known = new Map(this.#seen.map(({ place, sinceMs }) => [place, sinceMs]));
    const partitions = new Set<number>();
    const seen: { place: string; sinceMs: number }[] = [];
    for (const { partition, first_offset } of runs) {
      const place = `${partition}/${first_offset}`;
      if (partitions.has(partition)) seen.push({ place, sinceMs: known.get(place) ?? nowMs });
      partitions.add(partition);
    }
    this.#seen = seen;
    return seen.filter(({ sinceMs }) => nowMs - sinceMs >= lastingMs).length;
  }
}
