import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

/** A row with a token to make anew: its tokens, its sealed fields and their data key. Columns have the table's names besides. */
export interface StaleRow extends Record<string, unknown> {
  readonly event_id: string;
  readonly dek_id: string;
  /** Null when the data key is gone, which nothing of ours does. */
  readonly sealed_dek: Buffer | null;
}

/** True for a row that has a token which does not start with `prefix`. An erased field has none, and needs none. */
export function isStale<M>(stream: Stream<M>, prefix: string): SQL {
  const fields = stream.personalFields.map(
    ({ maskedColumn }) => sql`not starts_with(event.${sql.identifier(maskedColumn)}, ${prefix})`,
  );
  return sql`(${sql.join(fields, sql` or `)})`;
}

/**
 * A page of the rows of a day whose tokens are of another epoch, in the order of their ids from the one behind `after` on. By the
 * primary key of the day's partition: all pages together walk through it once.
 */
export function listStaleTokens<M>(
  stream: Stream<M>,
  page: {
    readonly day: Day;
    readonly prefix: string;
    readonly after: string | undefined;
    readonly limit: number;
  },
): SQL<StaleRow> {
  const columns = stream.personalFields.flatMap(({ maskedColumn, priorColumn, sealedColumn }) =>
    [maskedColumn, priorColumn, sealedColumn].map((column) => sql`event.${sql.identifier(column)}`),
  );
  return sql`select page.*, data_keys.sealed_dek from (
      select event.event_id, event.dek_id, ${sql.join(columns, sql`, `)} from ${sql.identifier(stream.name)} event
      where event.create_date = ${page.day} and ${isStale(stream, page.prefix)}
        ${page.after === undefined ? sql`` : sql`and event.event_id > ${page.after}`}
      order by event.event_id limit ${page.limit}
    ) page left join data_keys on data_keys.dek_id = page.dek_id order by page.event_id`;
}
