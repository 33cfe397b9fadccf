import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

export interface ReplayedRows extends Record<string, unknown> {
  readonly found: number;
  /** Sums of hashes, which do not depend on the order: of identities, and of identities and tokens. */
  readonly identities: string;
  readonly tokens: string;
  /** Rows without some token: personal fields that were erased. */
  readonly erased: number;
  /** Epochs of their tokens. */
  readonly epochs: readonly string[];
}

/**
 * Which of these events of a day are in a table, each as often as it is given, and a checksum of them. `userIds`: only rows of theirs. By the primary
 * key of the day's partition.
 */
export function checkReplayedRows<M>(
  stream: Stream<M>,
  table: SQL,
  what: {
    readonly day: Day;
    readonly eventIds: readonly string[];
    readonly userIds: readonly string[] | undefined;
  },
): SQL<ReplayedRows> {
  const masked = stream.personalFields.map(({ maskedColumn }) => sql`event.${sql.identifier(maskedColumn)}`);
  const tokens = sql.join(
    masked.map((column) => sql`coalesce(${column}, '')`),
    sql` || `,
  );
  const hash = (text: SQL) => sql`coalesce(sum(('x' || left(md5(${text}), 15))::bit(60)::bigint), 0)::text`;
  return sql`select count(*)::integer as found, ${hash(sql`event.create_date::text || event.event_id::text`)} as identities,
      ${hash(sql`event.create_date::text || event.event_id::text || ${tokens}`)} as tokens,
      count(*) filter (where num_nulls(${sql.join(masked, sql`, `)}) > 0)::integer as erased,
      coalesce(array_agg(distinct split_part(${masked[0] ?? sql`''`}, ':', 1)) filter (where ${masked[0] ?? sql`''`} is not null), '{}') as epochs
    from unnest(${sql.param(what.eventIds)}::uuid[]) as wanted (event_id)
    join ${table} event on event.create_date = ${what.day} and event.event_id = wanted.event_id
    ${what.userIds === undefined ? sql`` : sql`where event.user_id = any(${sql.param(what.userIds)}::text[])`}`;
}
