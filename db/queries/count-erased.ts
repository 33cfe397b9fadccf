import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { hasTokens } from './personal-columns.ts';

export interface ErasedDay extends Record<string, unknown> {
  readonly day: Day;
  readonly erased: string;
  /** Rows that the order covers and that are not erased: none once it is carried out. */
  readonly left: string;
}

/**
 * What an order to erase a user has come to, by day, from the table itself; `where`: from another than the stream's. Reads every partition up to the
 * day of the order.
 */
export function countErased<M>(
  stream: Stream<M>,
  order: string,
  lastDay: Day,
  where = stream.name,
): SQL<ErasedDay> {
  const table = sql.identifier(where);
  return sql`select to_char(create_date, 'YYYY-MM-DD') as day,
      count(*) filter (where not ${hasTokens(stream)}) as erased,
      count(*) filter (where ${hasTokens(stream)}) as left
    from ${table} join shreds on shreds.user_id = ${table}.user_id and sent_at <= shreds.ordered_at
    where shreds.id = ${order} and create_date <= ${lastDay}
    group by create_date order by create_date`;
}
