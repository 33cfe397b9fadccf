import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

/** A row with the data key that its sealed fields need; the stream's own columns under their names. */
export interface SealedEvent extends Record<string, unknown> {
  readonly event_id: string;
  readonly create_date: Day;
  readonly sent_at: string;
  readonly dek_id: string;
  /** Null when the row names a data key that does not exist. */
  readonly sealed_dek: Buffer | null;
}

/** What a select of {@link SealedEvent} names, from `event` left joined to `data_keys`. */
export function sealedEventColumns<M>(stream: Stream<M>): SQL {
  const columns = [
    ...stream.clearColumns.map(({ column }) => column),
    ...stream.personalFields.flatMap(({ sealedColumn, maskedColumn }) => [sealedColumn, maskedColumn]),
  ];
  const own = columns.map((column) => sql`event.${sql.identifier(column)}`);
  return sql`event.event_id, to_char(event.create_date, 'YYYY-MM-DD') as create_date,
      to_char(event.sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as sent_at,
      event.dek_id, data_keys.sealed_dek, ${sql.join(own, sql`, `)}`;
}
