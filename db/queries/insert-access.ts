import { sql, type SQL } from 'drizzle-orm';

/** An entry of the access log. The trigger fills who, when and the hash chain; `subject` is what is opened, an event id. */
export function insertAccess(entry: {
  action: 'recover';
  reason: string;
  ticket: string;
  subject: string;
}): SQL {
  return sql`insert into access_log (action, reason, ticket, subject)
    values (${entry.action}, ${entry.reason}, ${entry.ticket}, ${entry.subject}) returning id`;
}
