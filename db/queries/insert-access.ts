import { sql, type SQL } from 'drizzle-orm';

/** What the access log tells of: opening something, or changing who can. */
export type AccessAction =
  | 'recover'
  | 'request'
  | 'approve'
  | 'peek'
  | 'shred'
  | 'rotate'
  | 'retoken'
  | 'finish';

/** What an entry says besides who and when. */
export interface AccessReason {
  readonly action: AccessAction;
  readonly reason: string;
  readonly ticket: string;
}

/** The id of an entry, and its hash in hex: the head of the log while no other follows. */
export interface AccessEntry extends Record<string, unknown> {
  readonly id: string;
  readonly hash: string;
}

/** An entry of the access log. The trigger fills who, when and the hash chain; `subject` is what it is about: an event id, a day. */
export function insertAccess(entry: AccessReason & { subject: string }): SQL<AccessEntry> {
  return sql`insert into access_log (action, reason, ticket, subject)
    values (${entry.action}, ${entry.reason}, ${entry.ticket}, ${entry.subject})
    returning id, encode(hash, 'hex') as hash`;
}
