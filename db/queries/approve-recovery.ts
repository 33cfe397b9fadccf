import { sql, type SQL } from 'drizzle-orm';

/** Approves a request of another login: false when it is one's own, unknown, expired, approved or used. */
export function approveRecovery(id: string): SQL<{ approved: boolean }> {
  return sql`select approve_recovery(${id}) as approved`;
}
