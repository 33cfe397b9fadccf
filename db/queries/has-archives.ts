import { sql, type SQL } from 'drizzle-orm';

/** Whether a place has ever held a day of this database: then it must be there. */
export function hasArchives(location: string): SQL<{ there: boolean }> {
  return sql`select exists (
    select from archives where location = ${location} and (state not in ('detaching', 'writing') or restored_at is not null)
  ) as there`;
}
