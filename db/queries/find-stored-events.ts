import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/**
 * Which of these events are stored, on which day, and how long each took from SentTimestamp to the transaction that stored it, in
 * milliseconds. A probe of the primary key (create_date, event_id) per day and event.
 */
export function findStoredEvents(
  table: string,
  eventIds: readonly string[],
  from: Day,
  to: Day,
): SQL<{ event_id: string; day: Day; latency_ms: number }> {
  return sql`select stored.event_id, to_char(stored.create_date, 'YYYY-MM-DD') as day,
      (extract(epoch from stored.ingested_at - stored.sent_at) * 1000)::float8 as latency_ms
    from generate_series(${from}::date, ${to}::date, interval '1 day') as days (day)
    cross join unnest(${sql.param(eventIds)}::uuid[]) as wanted (event_id)
    join ${sql.identifier(table)} stored
      on stored.create_date = days.day::date and stored.event_id = wanted.event_id`;
}
