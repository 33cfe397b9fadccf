import { sql, type SQL } from 'drizzle-orm';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { GrowingArray } from '../binary-array.ts';

/** Rows by column, as `unnest` wants them. All arrays have one length; the outer arrays follow the stream's definition. */
export interface RowColumns {
  readonly createDate: GrowingArray;
  readonly eventId: GrowingArray;
  readonly sentAt: GrowingArray;
  readonly dekId: GrowingArray;
  /** Whose pepper made the tokens. While there is a prior epoch, `prior` has its tokens; otherwise it is empty. */
  readonly epochs: { readonly current: number; readonly prior: number | undefined };
  readonly clear: readonly GrowingArray[];
  readonly masked: readonly GrowingArray[];
  readonly prior: readonly GrowingArray[];
  readonly sealed: readonly GrowingArray[];
}

/** Statements that store rows of a stream. Prepared, each has one text, and in a window of token epochs another: see `prior`. */
export interface RowInserter {
  /**
   * Fails with SQLSTATE 23505, and stores nothing, when a row is there already. Half the work of the other: no row is looked up before. What is
   * sent counts as stored, so nothing on the table may pass over a row in silence: no trigger, rule or policy of rows.
   */
  readonly insertNew: (rows: RowColumns) => SQL;
  /** A row that is there already changes nothing. The command's tag says how many were new. */
  readonly insertMissing: (rows: RowColumns) => SQL;
}

/**
 * Rows of a stream, in one statement. What conflicts on the primary key (create_date, event_id) is a redelivery. **The conflict clause is bare
 * and no column is returned**, so the writer needs no right to read what it writes. Fails with TOKENS_CHANGED when the epochs of the
 * tokens are over: asked once a statement, whatever the number of rows.
 *
 * The arrays are unnested side by side in the select list: in `from`, Postgres puts each away in a store of its own first.
 *
 * `target`: the table, qualified or not, where it is another than the stream's, made like it. Sealed fields stay bound to the stream's name.
 */
export function rowInserter<M>(
  stream: Stream<M>,
  target: SQL = sql`${sql.identifier(stream.name)}`,
): RowInserter {
  const outsideWindow = columnsOf(stream, []);
  const inWindow = columnsOf(
    stream,
    stream.personalFields.map((field) => field.priorColumn),
  );
  const insertNew = (rows: RowColumns) => {
    const { columns, types } = rows.prior.length === 0 ? outsideWindow : inWindow;
    const arrays = columnArrays(rows);
    // Side by side, a shorter one would be filled up with nulls.
    if (arrays.some(({ length }) => length !== rows.eventId.length))
      throw new PipelineError('INTERNAL', 'the columns of a batch differ in length');
    const values = sql.join(
      arrays.map(({ array }, i) => sql`unnest(${sql.param(array)}::${sql.raw(types[i] ?? '')})`),
      sql`, `,
    );
    const { current, prior = null } = rows.epochs;
    return sql`insert into ${target} (${columns})
      select ${values} where (select assert_token_epochs(${current}::integer, ${prior}::integer))`;
  };
  return {
    insertNew,
    insertMissing: (rows) => sql`${insertNew(rows)}
      on conflict do nothing`,
  };
}

/** In the order of {@link columnsOf}. */
export function columnArrays(rows: RowColumns): GrowingArray[] {
  const { createDate, eventId, sentAt, dekId, clear, masked, sealed, prior } = rows;
  return [createDate, eventId, sentAt, dekId, ...clear, ...masked, ...sealed, ...prior];
}

function columnsOf<M>(
  stream: Stream<M>,
  priorColumns: readonly string[],
): { columns: SQL; types: readonly string[] } {
  const typed: [string, string][] = [
    ['create_date', 'date[]'],
    ['event_id', 'uuid[]'],
    ['sent_at', 'timestamptz[]'],
    ['dek_id', 'bigint[]'],
    ...stream.clearColumns.map(({ column, arrayType }): [string, string] => [column, arrayType]),
    ...stream.personalFields.map(({ maskedColumn }): [string, string] => [maskedColumn, 'text[]']),
    ...stream.personalFields.map(({ sealedColumn }): [string, string] => [sealedColumn, 'bytea[]']),
    ...priorColumns.map((column): [string, string] => [column, 'text[]']),
  ];
  const names = typed.map(([name]) => sql.identifier(name));
  return {
    columns: sql.join(names, sql`, `),
    types: typed.map(([, type]) => type),
  };
}
