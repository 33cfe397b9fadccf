import { sql, type SQL } from 'drizzle-orm';

/** Uses an approved request of one's own up, for its subject alone: false when there is none such that is valid and unused. */
export function useRecovery(id: string, subject: string): SQL<{ used: boolean }> {
  return sql`select use_recovery(${id}, ${subject}) as used`;
}
