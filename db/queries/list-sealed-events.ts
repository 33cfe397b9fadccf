import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { sealedEventColumns, type SealedEvent } from './sealed-event.ts';

/** Which events of a day: those of a user, or those that carry a token in any masked column, of the epoch before too. */
export type EventFilter = { readonly userId: string } | { readonly token: string };

/**
 * A page of the events of a day that match, in the order of their ids, from the one behind `after` on (the first, without). By the primary key of the day's
 * partition: all pages together walk through it once.
 */
export function listSealedEvents<M>(
  stream: Stream<M>,
  page: { day: Day; filter: EventFilter; after: string | undefined; limit: number },
): SQL<SealedEvent> {
  return sql`select ${sealedEventColumns(stream)}
    from ${sql.identifier(stream.name)} event
    left join data_keys on data_keys.dek_id = event.dek_id
    where event.create_date = ${page.day} ${page.after === undefined ? sql`` : sql`and event.event_id > ${page.after}`}
      and ${matches(stream, page.filter)}
    order by event.event_id
    limit ${page.limit}`;
}

/** How many match on these days. Reads their partitions whole. */
export function countSealedEvents<M>(
  stream: Stream<M>,
  days: readonly Day[],
  filter: EventFilter,
): SQL<{ count: string }> {
  return sql`select count(*) from ${sql.identifier(stream.name)} event
    where event.create_date = any(${sql.param(days)}::date[]) and ${matches(stream, filter)}`;
}

function matches<M>(stream: Stream<M>, filter: EventFilter): SQL {
  if ('userId' in filter) return sql`event.user_id = ${filter.userId}`;
  const columns = stream.personalFields.flatMap(({ maskedColumn, priorColumn }) => [
    maskedColumn,
    priorColumn,
  ]);
  return sql`${filter.token} in (${sql.join(
    columns.map((column) => sql`event.${sql.identifier(column)}`),
    sql`, `,
  )})`;
}
