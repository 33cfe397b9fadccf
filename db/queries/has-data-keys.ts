import { sql, type SQL } from 'drizzle-orm';

/** Whether anything was ever sealed here. By the first row of data_keys that comes. */
export function hasDataKeys(): SQL<{ there: boolean }> {
  return sql`select exists (select from data_keys) as there`;
}
