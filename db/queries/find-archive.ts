import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** How far a day has come on its way into an archive or back: see db/migrations/0008_archives.sql. */
export const archiveStates = [
  'detaching',
  'writing',
  'moving_key',
  'dropping',
  'archived',
  'restoring',
  'restored',
] as const;
export type ArchiveState = (typeof archiveStates)[number];

export interface FoundArchive extends Record<string, unknown> {
  readonly state: ArchiveState;
  readonly location: string;
  readonly manifest_sha256: Buffer | null;
  readonly rows: string | null;
  /** As stored. */
  readonly bytes: string | null;
  /** ISO 8601, UTC, milliseconds. */
  readonly began_at: string;
  readonly archived_at: string | null;
  readonly keep_until: string | null;
  /** Whether `keep_until` lies ahead. */
  readonly kept: boolean;
}

/**
 * What is known of a day's archive; no row for a day that was never archived. In the states from `detaching` to `restoring` the day's
 * rows are not in the table. By the primary key.
 */
export function findArchive(table: string, day: Day): SQL<FoundArchive> {
  return sql`select state, location, manifest_sha256, rows, bytes, ${iso(sql`began_at`)} as began_at,
      ${iso(sql`archived_at`)} as archived_at, ${iso(sql`keep_until`)} as keep_until,
      coalesce(keep_until > now(), false) as kept
    from archives where table_name = ${table} and day = ${day}`;
}

function iso(column: SQL): SQL {
  return sql`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
