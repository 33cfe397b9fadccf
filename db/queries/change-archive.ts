import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';
import type { ArchiveState } from './find-archive.ts';

/** A day sets out for the archive, for the first time or once more. */
export function beginArchive(table: string, day: Day, location: string): SQL {
  return sql`insert into archives (table_name, day, state, location) values (${table}, ${day}, 'detaching', ${location})
    on conflict (table_name, day) do update set state = 'detaching', location = excluded.location, began_at = now(),
      manifest_sha256 = null, rows = null, bytes = null, archived_at = null, keep_until = null, tokens_cleared_at = null`;
}

export interface ArchiveChange {
  readonly manifestSha256?: Buffer;
  readonly rows?: number;
  readonly bytes?: number;
  readonly archived?: boolean;
  readonly restored?: boolean;
  /** Back in its table, and to be left alone for so many days. */
  readonly keepDays?: number;
}

/** The step that comes next, once the one before is done. By the primary key. */
export function stepArchive(table: string, day: Day, state: ArchiveState, change: ArchiveChange = {}): SQL {
  const sets = [
    sql`state = ${state}`,
    ...(change.manifestSha256 === undefined ? [] : [sql`manifest_sha256 = ${change.manifestSha256}`]),
    ...(change.rows === undefined ? [] : [sql`rows = ${change.rows}`]),
    ...(change.bytes === undefined ? [] : [sql`bytes = ${change.bytes}`]),
    ...(change.archived === true ? [sql`archived_at = now()`] : []),
    ...(change.restored === true ? [sql`restored_at = now()`] : []),
    ...(change.keepDays === undefined
      ? []
      : [sql`keep_until = now() + make_interval(days => ${change.keepDays})`]),
  ];
  return sql`update archives set ${sql.join(sets, sql`, `)} where table_name = ${table} and day = ${day}`;
}

/** A day that lies in the archive and of which this database knows nothing: lost and set up anew. */
export function adoptArchive(
  table: string,
  day: Day,
  copy: {
    readonly location: string;
    readonly manifestSha256: Buffer;
    readonly rows: number;
    readonly bytes: number;
  },
): SQL {
  return sql`insert into archives (table_name, day, state, location, manifest_sha256, rows, bytes, archived_at)
    values (${table}, ${day}, 'archived', ${copy.location}, ${copy.manifestSha256}, ${copy.rows}, ${copy.bytes}, now())
    on conflict do nothing`;
}
