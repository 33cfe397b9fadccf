import { sql, type SQL } from 'drizzle-orm';
import type { AccessEntry, AccessReason } from './insert-access.ts';

/** An entry of the access log for each subject, in their order, returned in that order too: all of them or none. */
export function insertAccesses(why: AccessReason, subjects: readonly string[]): SQL<AccessEntry> {
  return sql`insert into access_log (action, reason, ticket, subject)
    select ${why.action}, ${why.reason}, ${why.ticket}, subject
    from unnest(${sql.param(subjects)}::text[]) with ordinality as about (subject, number)
    order by number
    returning id, encode(hash, 'hex') as hash`;
}
