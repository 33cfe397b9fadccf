import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { hasTokens } from './personal-columns.ts';

/**
 * How many rows of a user are not erased, by day; `where`: in another table than the stream's. Reads every partition: there is no index by
 * user.
 */
export function countUserRows<M>(
  stream: Stream<M>,
  userId: string,
  where = stream.name,
): SQL<{ day: Day; rows: string }> {
  return sql`select to_char(create_date, 'YYYY-MM-DD') as day, count(*) as rows
    from ${sql.identifier(where)} where user_id = ${userId} and ${hasTokens(stream)}
    group by create_date order by create_date`;
}
