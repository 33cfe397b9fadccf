import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** The days up to `last` whose rows are not in the table: in the archive, or on the way there or back. By the primary key. */
export function listArchivedDays(table: string, last: Day): SQL<{ day: Day }> {
  return sql`select to_char(day, 'YYYY-MM-DD') as day from archives
    where table_name = ${table} and day <= ${last} and state <> 'restored' order by archives.day`;
}
