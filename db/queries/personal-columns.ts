import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';

/** Every column of tokens, of this epoch and of the one before. */
export function tokenColumns<M>(stream: Stream<M>): string[] {
  return stream.personalFields.flatMap(({ maskedColumn, priorColumn }) => [maskedColumn, priorColumn]);
}

/** `num_nonnulls(masked_ip, …) > 0`: whether a row has tokens. One that has none was erased, or its day shredded. */
export function hasTokens<M>(stream: Stream<M>): SQL {
  return sql`num_nonnulls(${columnList(tokenColumns(stream))}) > 0`;
}

/** `masked_ip = null, …`, for an update. */
export function setNull(columns: readonly string[]): SQL {
  return sql.join(
    columns.map((column) => sql`${sql.identifier(column)} = null`),
    sql`, `,
  );
}

function columnList(columns: readonly string[]): SQL {
  return sql.join(
    columns.map((column) => sql.identifier(column)),
    sql`, `,
  );
}
