import { sql } from 'drizzle-orm';
import { PipelineError } from '../../shared/errors.ts';
import type { GrowingArray } from '../binary-array.ts';
import type { PreparingConnection } from '../client.ts';
import type { RowColumns, RowInserter } from '../queries/insert-rows.ts';
import { refusedRows, type RefusedRow } from './refused-rows.ts';

/**
 * Which of the rows `from` … `to` (excluded) Postgres refuses, found by halving, in a transaction that leaves nothing behind: neither a
 * round trip to Kafka nor a seal is spent on any of it. `refusalOf` knows which errors are a row's own fault.
 *
 * @throws what is nobody's fault
 */
export function searchRefused(
  connection: PreparingConnection,
  { insertMissing }: Pick<RowInserter, 'insertMissing'>,
  { rows, from, to }: { readonly rows: RowColumns; readonly from: number; readonly to: number },
  refusalOf: (error: unknown, rows: RowColumns) => PipelineError | undefined,
): Promise<RefusedRow[]> {
  return connection.transaction(async (session) => {
    await session.execute(sql`savepoint untouched`);
    const found = await refusedRows({ from, to }, async (first, beyond) => {
      const tried = pickRows(rows, (row) => row >= first && row < beyond);
      try {
        await session.executePrepared(preparedName('insert_rows', tried), insertMissing(tried));
        return undefined;
      } catch (error) {
        const refusal = refusalOf(error, tried);
        if (refusal === undefined) throw error;
        await session.execute(sql`rollback to savepoint untouched`);
        return refusal;
      }
    });
    await session.execute(sql`rollback to savepoint untouched`);
    return found;
  });
}

/** A key that has to be unique is there already. */
export function isTaken(error: unknown): boolean {
  return error instanceof PipelineError && error.detail === 'SQLSTATE 23505';
}

/** The name of a prepared statement of rows: during a window they have more columns, and it another text. */
export function preparedName(statement: string, { prior }: RowColumns): string {
  return prior.length === 0 ? statement : `${statement}_in_window`;
}

/** Of every column the rows for whose place `keep` is true. */
export function pickRows(rows: RowColumns, keep: (row: number) => boolean): RowColumns {
  const picked = (array: GrowingArray) => array.pick(keep);
  return {
    createDate: picked(rows.createDate),
    eventId: picked(rows.eventId),
    sentAt: picked(rows.sentAt),
    dekId: picked(rows.dekId),
    epochs: rows.epochs,
    clear: rows.clear.map(picked),
    masked: rows.masked.map(picked),
    prior: rows.prior.map(picked),
    sealed: rows.sealed.map(picked),
  };
}
