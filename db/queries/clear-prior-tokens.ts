import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

/**
 * Clears the tokens of an epoch that is over in up to `limit` rows of a day, in the order of their ids from the one behind `after`
 * on, and returns how many there were and the last of them (null: none). By the primary key of the day's partition.
 */
export function clearPriorTokens<M>(
  stream: Stream<M>,
  page: { readonly day: Day; readonly after: string | undefined; readonly limit: number },
): SQL<{ cleared: number; last: string | null }> {
  const table = sql.identifier(stream.name);
  const priors = stream.personalFields.map(({ priorColumn }) => sql.identifier(priorColumn));
  return sql`with page as (
      select event_id from ${table}
      where create_date = ${page.day} and num_nonnulls(${sql.join(priors, sql`, `)}) > 0
        ${page.after === undefined ? sql`` : sql`and event_id > ${page.after}`}
      order by event_id limit ${page.limit}
    ), cleared as (
      update ${table} event set ${sql.join(
        priors.map((column) => sql`${column} = null`),
        sql`, `,
      )}
      from page where event.create_date = ${page.day} and event.event_id = page.event_id
      returning event.event_id
    )
    select count(*)::integer as cleared, (array_agg(event_id order by event_id desc))[1] as last from page`;
}
