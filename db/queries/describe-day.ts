import { sql, type SQL } from 'drizzle-orm';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

/** How many rows a table has. Reads it whole. */
export function countRows(table: string): SQL<{ rows: string }> {
  return sql`select count(*) as rows from ${sql.identifier(table)}`;
}

/** Which token epochs a day's table has, ascending. Reads it whole. */
export function listTokenEpochsOf<M>(stream: Stream<M>, partition: string): SQL<{ epoch: number }> {
  const columns = stream.personalFields.flatMap(({ maskedColumn, priorColumn }) => [
    maskedColumn,
    priorColumn,
  ]);
  const tokens = sql.join(
    columns.map((column) => sql`(${sql.identifier(column)})`),
    sql`, `,
  );
  return sql`select distinct substring(token from '^t([0-9]+):')::integer as epoch
    from ${sql.identifier(partition)} cross join lateral (values ${tokens}) as tokens (token)
    where token is not null order by epoch`;
}

/** The last migration, and the day's public key. */
export function describeDay(day: Day): SQL<{
  schema: string;
  public_key: Buffer | null;
  destroyed: boolean;
}> {
  return sql`select (select max(name collate "C") from schema_migrations) as schema,
      (select public_key from day_keys where day = ${day}) as public_key,
      exists (select from day_keys where day = ${day} and destroyed_at is not null) as destroyed`;
}

/** A day's public key, unless it is here. The command tag says which. */
export function restoreDayKey(day: Day, publicKey: Buffer): SQL {
  return sql`insert into day_keys (day, public_key) values (${day}, ${publicKey}) on conflict do nothing`;
}
