import { sql, type SQL } from 'drizzle-orm';

/*
 * Rows of one table of a day into the other one, as they are, where that has none of their identity. All by the primary keys of two tables that
 * are not partitioned themselves.
 */

/**
 * The oldest transaction that is running: what is not committed yet, or not begun, has this number or a higher one (PostgreSQL manual,
 * "transaction id and snapshot information functions").
 */
export function oldestTransaction(): SQL<{ xid: string }> {
  return sql`select pg_snapshot_xmin(pg_current_snapshot())::text as xid`;
}

/**
 * Which rows of `from` are wanted: those it got from a time on, or all; then the two tables are brought together. Or those written by a transaction or later
 * ones: few, so each is tried, and the time is that of reading `from` once.
 */
export type Wanted = { readonly since: Date } | { readonly newerThan: string } | 'all';

/** The command tag says how many were carried over. */
export function carryRows(from: string, to: string, columns: readonly string[], wanted: Wanted): SQL {
  const list = (of?: string) =>
    sql.join(
      columns.map((column) =>
        of === undefined ? sql.identifier(column) : sql`${sql.identifier(of)}.${sql.identifier(column)}`,
      ),
      sql`, `,
    );
  return sql`insert into ${sql.identifier(to)} (${list()})
    select ${list('source')} from ${sql.identifier(from)} source
    where ${condition(wanted, to)}
    on conflict do nothing`;
}

/** How many rows of `from` are not in `to`; with `before`, of those that came before then. */
export function countMissing(from: string, to: string, before?: Date): SQL<{ missing: string }> {
  const early =
    before === undefined ? sql`true` : sql`source.ingested_at < ${before.toISOString()}::timestamptz`;
  return sql`select count(*) as missing from ${sql.identifier(from)} source where ${early} and ${isMissing(to)}`;
}

function isMissing(to: string): SQL {
  return sql`not exists (
    select from ${sql.identifier(to)} target
    where target.create_date = source.create_date and target.event_id = source.event_id
  )`;
}

/** Half of the numbers that 32 bits hold are behind a transaction, half ahead of it: beyond that, rows are not told apart by them. */
const furthest = 2_000_000_000;

/**
 * A row keeps the lower 32 bits of the number of the transaction that wrote it, frozen or not. **What cannot be told is wanted**: numbers that are too far
 * apart, or of another cluster, into which this one was restored.
 */
function condition(wanted: Wanted, to: string): SQL {
  if (wanted === 'all') return isMissing(to);
  if ('since' in wanted) {
    return sql`source.ingested_at >= ${wanted.since.toISOString()}::timestamptz and ${isMissing(to)}`;
  }
  const low = BigInt.asUintN(32, BigInt(wanted.newerThan)).toString();
  return sql`(
    age(source.xmin) <= age(${low}::xid)
    or pg_snapshot_xmax(pg_current_snapshot())::text::bigint - ${wanted.newerThan}::bigint not between 0 and ${sql.raw(String(furthest))}
  )`;
}
