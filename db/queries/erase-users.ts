import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { hasTokens, setNull, tokenColumns } from './personal-columns.ts';

/**
 * Erases the personal fields of one day's events that were sent before an order to erase their user, for the orders given by id. The
 * command tag counts them. `where`: the table of that day alone, while it is not attached. Reads the whole of the day's partition: there is no index by user.
 *
 * Whether a row is erased shows in its tokens, for who shreds may not look at sealed cells: every row has tokens until it is erased or its
 * day is shredded, and then what is sealed in it is noise.
 */
export function eraseUsers<M>(
  stream: Stream<M>,
  day: Day,
  orders: readonly string[],
  where = stream.name,
): SQL {
  const personal = [
    ...stream.personalFields.map(({ sealedColumn }) => sealedColumn),
    ...tokenColumns(stream),
  ];
  const table = sql.identifier(where);
  return sql`update ${table} set ${setNull(personal)}
    from shreds
    where create_date = ${day} and shreds.id = any(${sql.param(orders)}::bigint[]) and shreds.scope = 'user'
      and ${table}.user_id = shreds.user_id and sent_at <= shreds.ordered_at and ${hasTokens(stream)}`;
}
