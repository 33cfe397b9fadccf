import { sql, type SQL } from 'drizzle-orm';
import type { ClearColumn, Stream } from '../../shared/streams/stream.ts';
import {
  bigintArray,
  byteaArray,
  dateArray,
  integerArray,
  textArray,
  timestampArray,
  uuidArray,
} from '../binary-array.ts';

/** Rows by column, as `unnest` wants them. All arrays have one length; the outer arrays follow the stream's definition. */
export interface RowColumns {
  readonly createDate: readonly string[];
  readonly eventId: readonly string[];
  readonly sentAtMs: readonly number[];
  readonly dekId: readonly bigint[];
  /** Whose pepper made the tokens. While there is a prior epoch, `prior` has its tokens; otherwise it is empty. */
  readonly epochs: { readonly current: number; readonly prior: number | undefined };
  readonly clear: readonly (readonly (string | number | null)[])[];
  readonly masked: readonly (readonly string[])[];
  readonly prior: readonly (readonly string[])[];
  readonly sealed: readonly (readonly Buffer[])[];
}

/**
 * Rows of a stream, in one statement. Conflicts on the primary key (create_date, event_id) are redeliveries and change nothing.
 * **The conflict clause is bare and no column is returned**, so the writer needs no right to read what it writes; the command
 * tag says how many were new. Fails with TOKENS_CHANGED when the epochs of the tokens are over: asked once a statement, whatever
 * the number of rows.
 *
 * `target`: the table, qualified or not, where it is another than the stream's, made like it. Sealed fields stay bound to the stream's name.
 */
export function rowInserter<M>(
  stream: Stream<M>,
  target: SQL = sql`${sql.identifier(stream.name)}`,
): (rows: RowColumns) => SQL {
  const outsideWindow = columnsOf(stream, []);
  const inWindow = columnsOf(
    stream,
    stream.personalFields.map((field) => field.priorColumn),
  );
  return (rows) => {
    const { columns, selected, types } = rows.prior.length === 0 ? outsideWindow : inWindow;
    const arrays = [
      dateArray(rows.createDate),
      uuidArray(rows.eventId),
      timestampArray(rows.sentAtMs),
      bigintArray(rows.dekId),
      ...rows.clear.map((values, i) => clearArray(stream.clearColumns[i], values)),
      ...rows.masked.map(textArray),
      ...rows.sealed.map(byteaArray),
      ...rows.prior.map(textArray),
    ];
    const parameters = sql.join(
      arrays.map((array, i) => sql`${sql.param(array)}::${sql.raw(types[i] ?? '')}`),
      sql`, `,
    );
    const { current, prior = null } = rows.epochs;
    return sql`insert into ${target} (${columns})
      select ${selected} from unnest(${parameters}) as input (${columns})
      where (select assert_token_epochs(${current}::integer, ${prior}::integer))
      on conflict do nothing`;
  };
}

function clearArray<M>(column: ClearColumn<M> | undefined, values: RowColumns['clear'][number]): Buffer {
  return column?.arrayType === 'integer[]'
    ? integerArray(values.map((value) => (value === null ? null : Number(value))))
    : textArray(values.map((value) => (value === null ? null : String(value))));
}

function columnsOf<M>(
  stream: Stream<M>,
  priorColumns: readonly string[],
): { columns: SQL; selected: SQL; types: readonly string[] } {
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
    selected: sql.join(
      names.map((name) => sql`input.${name}`),
      sql`, `,
    ),
    types: typed.map(([, type]) => type),
  };
}
