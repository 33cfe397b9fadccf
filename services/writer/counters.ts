import type { LedgerEntry } from '../../db/queries/insert-ledger.ts';
import type { Logger } from '../../shared/log.ts';

const summaryMs = 60_000;

/** What the writer has done since it started, said once a minute if there was anything. */
export class Counters {
  readonly #total = { batches: 0, read: 0, inserted: 0, duplicate: 0, dead: 0, unknownFields: 0 };
  #saidAtBatch = 0;

  add(ledger: readonly LedgerEntry[]): void {
    this.#total.batches += 1;
    for (const entry of ledger) {
      this.#total.read += entry.read;
      this.#total.inserted += entry.inserted;
      this.#total.duplicate += entry.duplicate;
      this.#total.dead += entry.dead;
      this.#total.unknownFields += entry.unknownFields;
    }
  }

  get total(): Readonly<
    Record<'batches' | 'read' | 'inserted' | 'duplicate' | 'dead' | 'unknownFields', number>
  > {
    return { ...this.#total };
  }

  /** Starts the summaries. @returns what stops them. */
  summarise(log: Logger, more: () => object): () => void {
    const timer = setInterval(() => {
      if (this.#total.batches === this.#saidAtBatch) return;
      this.#saidAtBatch = this.#total.batches;
      log.info({ ...this.#total, ...more() }, 'summary');
    }, summaryMs);
    return () => clearInterval(timer);
  }
}
