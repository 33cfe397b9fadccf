import { sql, type SQL } from 'drizzle-orm';

/** Every order to erase a user. They are few, and each counts for as long as an archive may hold the user's rows. */
export function listErasures(): SQL<{ id: string }> {
  return sql`select id from shreds where scope = 'user' order by id`;
}
