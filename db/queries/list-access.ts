import { sql, type SQL } from 'drizzle-orm';

export interface ListedAccess extends Record<string, unknown> {
  readonly id: string;
  /** ISO 8601, UTC, milliseconds. */
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly ticket: string;
  readonly subject: string;
  readonly reason: string;
}

export interface AccessFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly ticket?: string | undefined;
  /** Part of it. */
  readonly subject?: string | undefined;
  /** ISO 8601. */
  readonly since?: string | undefined;
}

/**
 * Entries of the access log, the newest first, from the one before `before` on. By the primary key: with a filter it walks back through
 * the log until it has enough.
 */
export function listAccess(
  filter: AccessFilter,
  before: string | undefined,
  limit: number,
): SQL<ListedAccess> {
  const { actor, action, ticket, subject, since } = filter;
  const conditions = [
    before === undefined ? undefined : sql`id < ${before}`,
    actor === undefined ? undefined : sql`actor = ${actor}`,
    action === undefined ? undefined : sql`action = ${action}`,
    ticket === undefined ? undefined : sql`ticket = ${ticket}`,
    subject === undefined ? undefined : sql`position(${subject} in subject) > 0`,
    since === undefined ? undefined : sql`at >= ${since}::timestamptz`,
  ].filter((condition) => condition !== undefined);
  return sql`select id, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, actor, action, ticket,
      subject, reason
    from access_log
    ${conditions.length === 0 ? sql`` : sql`where ${sql.join(conditions, sql` and `)}`}
    order by id desc limit ${limit}`;
}
