import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

/** The keys that a row's sealed fields need, and the row itself; sealed columns come as `sealed_<field>`. */
export interface SealedEvent extends Record<string, unknown> {
  readonly create_date: Day;
  readonly sent_at: string;
  readonly dek_id: string;
  readonly public_key: Buffer;
  readonly sealed_dek: Buffer;
}

/**
 * One event, with its data key and its day's public key. By the primary key (create_date, event_id) of each partition: of one day
 * when it is known, else of every day that has a key, which is a probe a partition and never a scan.
 */
export function findEvent<M>(stream: Stream<M>, eventId: string, day: Day | undefined): SQL {
  const shown = sql.join(
    [
      ...stream.clearColumns.map(({ column }) => sql`event.${sql.identifier(column)}`),
      ...stream.personalFields.map(({ sealedColumn }) => sql`event.${sql.identifier(sealedColumn)}`),
    ],
    sql`, `,
  );
  return sql`select to_char(event.create_date, 'YYYY-MM-DD') as create_date,
      to_char(event.sent_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as sent_at,
      event.dek_id, day_keys.public_key, data_keys.sealed_dek, ${shown}
    from day_keys
    cross join lateral (
      select * from ${sql.identifier(stream.name)} stored
      where stored.create_date = day_keys.day and stored.event_id = ${eventId}
    ) event
    join data_keys on data_keys.dek_id = event.dek_id
    ${day === undefined ? sql`` : sql`where day_keys.day = ${day}`}
    limit 1`;
}
