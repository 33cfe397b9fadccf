import { sql, type SQL } from 'drizzle-orm';

/** The last entry of the access log; no row while it has none. By the primary key. */
export function findAccessHead(): SQL<{ id: string; hash: Buffer; at: string }> {
  return sql`select id, hash, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
    from access_log order by id desc limit 1`;
}
