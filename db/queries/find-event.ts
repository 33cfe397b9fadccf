import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { sealedEventColumns, type SealedEvent } from './sealed-event.ts';

/**
 * One event, with its data key. By the primary key (create_date, event_id) of each partition: of one day when it is known, else
 * of every day that has a key, which is a probe a partition and never a scan.
 */
export function findEvent<M>(stream: Stream<M>, eventId: string, day: Day | undefined): SQL<SealedEvent> {
  return sql`select ${sealedEventColumns(stream)}
    from day_keys
    cross join lateral (
      select * from ${sql.identifier(stream.name)} stored
      where stored.create_date = day_keys.day and stored.event_id = ${eventId}
    ) event
    left join data_keys on data_keys.dek_id = event.dek_id
    ${day === undefined ? sql`` : sql`where day_keys.day = ${day}`}
    limit 1`;
}
