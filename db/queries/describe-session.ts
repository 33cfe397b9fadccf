import { sql, type SQL } from 'drizzle-orm';

/** Who we are to this server and what it is like. */
export interface SessionFacts extends Record<string, unknown> {
  readonly role: string;
  readonly superuser: boolean;
  /** `180004` */
  readonly version: number;
  readonly standby: boolean;
  readonly encrypted: boolean;
  /** The server's clock, Unix milliseconds. */
  readonly at_ms: number;
  /** `terse`: rejected rows do not come into the server's own log. */
  readonly verbosity: string;
  /** `off`: what was acknowledged may be lost when the server crashes. */
  readonly synchronous_commit: string;
  readonly free_connections: number;
}

/** Catalogs and settings alone. Of other roles' connections a plain role sees that they are there. */
export function describeSession(): SQL<SessionFacts> {
  return sql`select current_user as role, (select rolsuper from pg_roles where rolname = current_user) as superuser,
    current_setting('server_version_num')::integer as version, pg_is_in_recovery() as standby,
    coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted,
    extract(epoch from clock_timestamp())::float8 * 1000 as at_ms,
    current_setting('log_error_verbosity') as verbosity, current_setting('synchronous_commit') as synchronous_commit,
    current_setting('max_connections')::integer - (select count(*)::integer from pg_stat_activity) as free_connections`;
}
