import type { PreparingConnection, Session } from '../../db/client.ts';
import { insertBatch } from '../../db/queries/insert-batch.ts';
import { insertLedger, type LedgerEntry } from '../../db/queries/insert-ledger.ts';
import { columnArrays, type RowColumns, type RowInserter } from '../../db/queries/insert-rows.ts';
import type { EncodedBatch } from '../../db/rows/encode.ts';
import type { RefusedRow } from '../../db/rows/refused-rows.ts';
import { isTaken, pickRows, preparedName, searchRefused } from '../../db/rows/search-refused.ts';
import type { PipelineError } from '../../shared/errors.ts';

/**
 * Puts a batch's rows and its ledger entries into Postgres in one transaction. A row that is there already changes nothing.
 *
 * Rows and ledger go in one statement, which takes new rows only: it is half the work of one that looks for each row first. When some turn out to
 * be redeliveries it is undone and done again with a statement a partition, which counts them: exact, without a right to read anything.
 */
export class BatchInserter {
  readonly #connection: PreparingConnection;
  readonly #inserter: RowInserter;
  readonly #writtenBy: string;
  /** Redeliveries come in runs (a rebalance, a replay): after one, try partition by partition first. */
  #expectDuplicates = false;
  /** Of an attempt that failed nobody knows whether a socket still has the batch: its memory is not used again. */
  readonly #failed = new WeakSet<EncodedBatch>();

  constructor(options: { connection: PreparingConnection; inserter: RowInserter; writtenBy: string }) {
    this.#connection = options.connection;
    this.#inserter = options.inserter;
    this.#writtenBy = options.writtenBy;
  }

  /**
   * @returns the ledger as written.
   * @throws PipelineError of the database. After an outage it is open whether the commit happened: doing it again is safe.
   */
  async insert(batch: EncodedBatch): Promise<LedgerEntry[]> {
    if (!this.#expectDuplicates) {
      try {
        const ledger = await this.#insertAtOnce(batch);
        if (!this.#failed.has(batch)) releaseRows(batch);
        return ledger;
      } catch (error) {
        this.#failed.add(batch);
        if (!isTaken(error)) throw error;
      }
    }
    const ledger = await this.#connection.transaction((session) => this.#insertByPartition(session, batch));
    this.#expectDuplicates = ledger.some((entry) => entry.duplicate > 0);
    return ledger;
  }

  /** Which of the rows `from` … `to` (excluded) Postgres refuses: see {@link searchRefused}. @throws what is nobody's fault */
  refused(
    { rows }: EncodedBatch,
    range: { readonly from: number; readonly to: number },
    refusalOf: (error: unknown, rows: RowColumns) => PipelineError | undefined,
  ): Promise<RefusedRow[]> {
    return searchRefused(this.#connection, this.#inserter, { rows, ...range }, refusalOf);
  }

  /** One statement: while it is under way, the next batch is encoded, and no answer is waited for in between. */
  async #insertAtOnce(batch: EncodedBatch): Promise<LedgerEntry[]> {
    const ledger = [...batch.ledger];
    if (ledger.length === 0) return ledger;
    const { rows } = batch;
    const statement = insertBatch(this.#inserter.insertNew(rows), ledger, this.#writtenBy);
    await this.#connection.executePrepared(preparedName('insert_batch', rows), statement);
    return ledger;
  }

  async #insertByPartition(session: Session, batch: EncodedBatch): Promise<LedgerEntry[]> {
    const ledger: LedgerEntry[] = [];
    for (const entry of batch.ledger) {
      let inserted = 0;
      if (entry.inserted > 0) {
        const rows = rowsOfPartition(batch, entry.partition);
        inserted = (await session.execute(this.#inserter.insertMissing(rows))).rowCount;
      }
      ledger.push({ ...entry, inserted, duplicate: entry.inserted - inserted });
    }
    return this.#writeLedger(session, ledger);
  }

  async #writeLedger(session: Session, ledger: LedgerEntry[]): Promise<LedgerEntry[]> {
    if (ledger.length > 0) await session.execute(insertLedger(ledger, this.#writtenBy));
    return ledger;
  }
}

function releaseRows({ rows }: EncodedBatch): void {
  for (const array of columnArrays(rows)) array.release();
}

function rowsOfPartition({ rows, partitions }: EncodedBatch, partition: number): RowColumns {
  return pickRows(rows, (row) => partitions[row] === partition);
}
