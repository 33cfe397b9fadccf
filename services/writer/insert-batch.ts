import type { Connection, Session } from '../../db/client.ts';
import { insertLedger, type LedgerEntry } from '../../db/queries/insert-ledger.ts';
import type { RowColumns, rowInserter } from '../../db/queries/insert-rows.ts';
import type { EncodedBatch } from './encode.ts';

/** Thrown to roll back: fewer rows were new than were sent, and the command tag does not say of which partition. */
class SomeWereDuplicates extends Error {}

/**
 * Puts a batch's rows and its ledger entries into Postgres in one transaction. A row that is there already changes nothing.
 *
 * The ledger counts by partition, the command tag by statement. So all rows go in one statement, and only when some turn out to
 * be redeliveries is it rolled back and done again with a statement a partition: exact, without a right to read anything.
 */
export class BatchInserter {
  readonly #connection: Connection;
  readonly #rowsOf: ReturnType<typeof rowInserter>;
  readonly #writtenBy: string;
  /** Redeliveries come in runs (a rebalance, a replay): after one, try partition by partition first. */
  #expectDuplicates = false;

  constructor(options: {
    connection: Connection;
    rowsOf: ReturnType<typeof rowInserter>;
    writtenBy: string;
  }) {
    this.#connection = options.connection;
    this.#rowsOf = options.rowsOf;
    this.#writtenBy = options.writtenBy;
  }

  /**
   * @returns the ledger as written.
   * @throws PipelineError of the database. After an outage it is open whether the commit happened: doing it again is safe.
   */
  async insert(batch: EncodedBatch): Promise<LedgerEntry[]> {
    if (!this.#expectDuplicates) {
      try {
        return await this.#connection.transaction((session) => this.#insertAtOnce(session, batch));
      } catch (error) {
        if (!(error instanceof SomeWereDuplicates)) throw error;
      }
    }
    const ledger = await this.#connection.transaction((session) => this.#insertByPartition(session, batch));
    this.#expectDuplicates = ledger.some((entry) => entry.duplicate > 0);
    return ledger;
  }

  async #insertAtOnce(session: Session, batch: EncodedBatch): Promise<LedgerEntry[]> {
    const sent = batch.partitions.length;
    if (sent > 0) {
      const { rowCount } = await session.execute(this.#rowsOf(batch.rows));
      if (rowCount !== sent) throw new SomeWereDuplicates();
    }
    return this.#writeLedger(session, [...batch.ledger]);
  }

  async #insertByPartition(session: Session, batch: EncodedBatch): Promise<LedgerEntry[]> {
    const ledger: LedgerEntry[] = [];
    for (const entry of batch.ledger) {
      let inserted = 0;
      if (entry.inserted > 0) {
        const rows = rowsOfPartition(batch, entry.partition);
        inserted = (await session.execute(this.#rowsOf(rows))).rowCount;
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

function rowsOfPartition(batch: EncodedBatch, partition: number): RowColumns {
  const of = <T>(column: readonly T[]): T[] => column.filter((_, i) => batch.partitions[i] === partition);
  const { rows } = batch;
  return {
    createDate: of(rows.createDate),
    eventId: of(rows.eventId),
    sentAtMs: of(rows.sentAtMs),
    dekId: of(rows.dekId),
    clear: rows.clear.map(of),
    masked: rows.masked.map(of),
    sealed: rows.sealed.map(of),
  };
}
