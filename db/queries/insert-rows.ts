import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';

/** Rows by column, as `unnest` wants them. All arrays have one length; the outer arrays follow the stream's definition. */
export interface RowColumns {
  readonly createDate: readonly string[];
  readonly eventId: readonly string[];
  readonly sentAtMs: readonly number[];
  readonly dekId: readonly bigint[];
  readonly clear: readonly (readonly (string | number | null)[])[];
  readonly masked: readonly (readonly string[])[];
  readonly sealed: readonly (readonly Buffer[])[];
}

/**
 * Rows of a stream, in one statement. Conflicts on the primary key (create_date, event_id) are redeliveries and change nothing.
 * **The conflict clause is bare and nothing is returned**, so the writer needs no right to read what it writes; the command
 * tag says how many were new.
 */
export function rowInserter<M>(stream: Stream<M>): (rows: RowColumns) => SQL {
  const names = [
    'create_date',
    'event_id',
    'sent_at',
    'dek_id',
    ...stream.clearColumns.map((column) => column.column),
    ...stream.personalFields.map((field) => field.maskedColumn),
    ...stream.personalFields.map((field) => field.sealedColumn),
  ];
  const types = [
    'date[]',
    'uuid[]',
    'float8[]',
    'bigint[]',
    ...stream.clearColumns.map((column) => column.arrayType),
    ...stream.personalFields.map(() => 'text[]'),
    ...stream.personalFields.map(() => 'bytea[]'),
  ];
  const columns = sql.join(
    names.map((name) => sql.identifier(name)),
    sql`, `,
  );
  const selected = sql.join(
    names.map((name) =>
      name === 'sent_at' ? sql`to_timestamp(input.sent_at / 1000)` : sql`input.${sql.identifier(name)}`,
    ),
    sql`, `,
  );
  return (rows) => {
    const values: unknown[] = [
      rows.createDate,
      rows.eventId,
      rows.sentAtMs,
      rows.dekId,
      ...rows.clear,
      ...rows.masked,
      ...rows.sealed,
    ];
    const arrays = sql.join(
      values.map((array, i) => sql`${sql.param(array)}::${sql.raw(types[i] ?? '')}`),
      sql`, `,
    );
    return sql`insert into ${sql.identifier(stream.name)} (${columns})
      select ${selected} from unnest(${arrays}) as input (${columns})
      on conflict do nothing`;
  };
}
