import { sql, type SQL } from 'drizzle-orm';

/**
 * Begins to read the whole access log in the order of ids, as it is now, for {@link fetchAccessEntries} in the same transaction. A
 * cursor and not pages by id: ids that were tampered with may be there twice. Of what the columns do not allow, null comes.
 */
export function openAccessCursor(): SQL {
  return sql`declare access_entries no scroll cursor for
    select id, case when isfinite(at) then (extract(epoch from at) * 1000000)::bigint end as at_us,
      actor, action, reason, ticket, subject, prev_hash, hash
    from access_log order by id`;
}
