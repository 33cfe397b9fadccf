import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/** Notes that a day's copy in the archive has no tokens any more, and the manifest it has now. By the primary key. */
export function noteArchiveCleared(
  table: string,
  day: Day,
  copy: { readonly manifestSha256: Buffer; readonly bytes: number },
): SQL {
  return sql`update archives set manifest_sha256 = ${copy.manifestSha256}, bytes = ${copy.bytes},
      tokens_cleared_at = coalesce(tokens_cleared_at, now())
    where table_name = ${table} and day = ${day}`;
}
