import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { isStale } from './list-stale-tokens.ts';

export interface TokenCount extends Record<string, unknown> {
  readonly rows: string;
  /** Rows with a token that is not of the given epoch. */
  readonly stale: string;
  /** Rows with a token of the epoch before, or what is left of one. */
  readonly with_prior: string;
}

/** How many rows of a day have which tokens. Reads the partition of the day; `where`: the table of that day that is none. */
export function countTokens<M>(
  stream: Stream<M>,
  day: Day,
  prefix: string,
  where = stream.name,
): SQL<TokenCount> {
  const priors = stream.personalFields.map(({ priorColumn }) => sql.identifier(priorColumn));
  return sql`select count(*) as rows, count(*) filter (where ${isStale(stream, prefix)}) as stale,
      count(*) filter (where num_nonnulls(${sql.join(priors, sql`, `)}) > 0) as with_prior
    from ${sql.identifier(where)} event where create_date = ${day}`;
}
