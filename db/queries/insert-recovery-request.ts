import { sql, type SQL } from 'drizzle-orm';

/** Asks for a second person's approval. Who asks and until when it holds, the table fills in. */
export function insertRecoveryRequest(request: {
  subject: string;
  reason: string;
  ticket: string;
}): SQL<{ id: string }> {
  return sql`insert into recovery_requests (subject, reason, ticket)
    values (${request.subject}, ${request.reason}, ${request.ticket}) returning id`;
}
