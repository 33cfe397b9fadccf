import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { hasTokens, setNull, tokenColumns } from './personal-columns.ts';

/** A page of a day: rows looked at, rows cleared, and the last event of it; null when there was none. */
export interface ClearedPage extends Record<string, unknown> {
  readonly seen: number;
  readonly cleared: number;
  readonly last: string | null;
}

/**
 * Takes the tokens out of the next `limit` rows of a day after the event `after` (undefined: from the first), where they have any. By the
 * primary key (create_date, event_id) of one partition, twice over the same range. `where`: in another table than the stream's.
 */
export function clearTokens<M>(
  stream: Stream<M>,
  day: Day,
  after: string | undefined,
  limit: number,
  where = stream.name,
): SQL<ClearedPage> {
  const table = sql.identifier(where);
  const behind = after === undefined ? sql`` : sql`and event_id > ${after}`;
  return sql`with page as materialized (
      select event_id from ${table} where create_date = ${day} ${behind} order by event_id limit ${limit}
    ),
    bounds as materialized (
      select count(*)::integer as seen, (array_agg(event_id order by event_id desc))[1] as last from page
    ),
    cleared as (
      update ${table} set ${setNull(tokenColumns(stream))}
      where create_date = ${day} ${behind} and event_id <= (select last from bounds) and ${hasTokens(stream)}
      returning 1
    )
    select seen, (select count(*)::integer from cleared) as cleared, last from bounds`;
}
