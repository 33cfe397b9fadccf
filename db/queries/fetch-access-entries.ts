import { sql, type SQL } from 'drizzle-orm';

/** A row of the access log as it is stored, which may not be as it was written. */
export interface StoredEntry extends Record<string, unknown> {
  readonly id: string | null;
  readonly at_us: string | null;
  readonly actor: string | null;
  readonly action: string | null;
  readonly reason: string | null;
  readonly ticket: string | null;
  readonly subject: string | null;
  readonly prev_hash: Buffer | null;
  readonly hash: Buffer | null;
}

/** The next `count` rows at most of the cursor that {@link openAccessCursor} opened; none at its end. `count` is a number of ours. */
export function fetchAccessEntries(count: number): SQL<StoredEntry> {
  return sql`fetch forward ${sql.raw(String(count))} from access_entries`;
}
