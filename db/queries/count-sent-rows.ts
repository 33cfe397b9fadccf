import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** How many rows of a day there are, of those sent within a time, in milliseconds. Reads the day's partition. */
export function countSentRows(
  table: SQL,
  day: Day,
  sent: { readonly fromMs: number | undefined; readonly toMs: number | undefined },
): SQL<{ rows: string }> {
  const at = (ms: number) => sql`to_timestamp(${ms / 1_000}::float8)`;
  return sql`select count(*) as rows from ${table} where create_date = ${day}
    ${sent.fromMs === undefined ? sql`` : sql`and sent_at >= ${at(sent.fromMs)}`}
    ${sent.toMs === undefined ? sql`` : sql`and sent_at < ${at(sent.toMs)}`}`;
}
