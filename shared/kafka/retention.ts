import { addDays, horizon, type Day } from '../time.ts';

/** What the settings say of the topics: days a record is kept, counted from its SentTimestamp. */
export interface TopicRetention {
  readonly RAW_TOPIC_RETENTION_DAYS: number;
  readonly DEAD_LETTER_TOPIC_RETENTION_DAYS: number;
}

/**
 * Kafka deletes segments, not records: a record stays until the youngest of its segment has outlived the retention. A segment takes records
 * of as many days as this (`segment.ms`, which {@link ensureTopics} sets: Kafka's own default, but a broker may have another).
 */
export const segmentDays = 7;

/** Kafka looks for what to delete every five minutes, and a day has begun before it is over. */
const marginDays = 1;

/**
 * The last day on which the raw topic can hold a record of `day`. It may come 14 days late (SQS keeps it no longer) and share its segment with
 * records of a week after. So 2026-01-01 with a retention of 21 days: 2026-02-13.
 */
export function lastRawDay(day: Day, retention: TopicRetention): Day {
  return addDays(day, horizon.daysBack + segmentDays + retention.RAW_TOPIC_RETENTION_DAYS + marginDays);
}

/**
 * The last day on which either topic can hold a body of `day`, and so the last day of its transit key: a record that is read on its last day in
 * the raw topic can go to the dead-letter topic then. 2026-01-01 with 21 and 90 days: 2026-05-21. **Rather late than early**: a key destroyed too
 * early is a record lost; one destroyed late opens nothing but what a thief copied before.
 */
export function lastTransitDay(day: Day, retention: TopicRetention): Day {
  return addDays(lastRawDay(day, retention), segmentDays + retention.DEAD_LETTER_TOPIC_RETENTION_DAYS);
}

/** How many days back from `today` a topic can hold bodies of: the first such day. The inverse of {@link lastTransitDay}. */
export function firstTransitDay(today: Day, retention: TopicRetention): Day {
  const days = Math.round((Date.parse(lastTransitDay(today, retention)) - Date.parse(today)) / 86_400_000);
  return addDays(today, -days);
}

/** The last day on which the connector may need the transit key of `day`, whatever else: inside the horizon a missing key is an outage. */
export function lastHorizonDay(day: Day): Day {
  return addDays(day, horizon.daysBack);
}
