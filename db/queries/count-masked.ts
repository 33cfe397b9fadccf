import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { hasTokens } from './personal-columns.ts';

/** How many rows a day has, and how many of them have tokens. Reads the whole of its partition; `where`: in another table than the stream's. */
export function countMasked<M>(
  stream: Stream<M>,
  day: Day,
  where = stream.name,
): SQL<{ rows: string; with_tokens: string }> {
  return sql`select count(*) as rows, count(*) filter (where ${hasTokens(stream)}) as with_tokens
    from ${sql.identifier(where)} where create_date = ${day}`;
}
