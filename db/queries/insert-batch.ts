import { sql, type SQL } from 'drizzle-orm';
import { bigintArray, integerArray, textArray } from '../binary-array.ts';
import type { LedgerEntry } from './insert-ledger.ts';

/**
 * A batch's rows (`insertRows`, of rowInserter) and its ledger in one statement, which is one transaction and one round trip. Fails with
 * ROWS_DUPLICATE, and writes nothing, unless every one of the `sent` rows was new. `returning 1` names no column, so it takes no right to
 * read; a row that conflicts is not among those returned.
 */
export function insertBatch(
  insertRows: SQL,
  sent: number,
  entries: readonly LedgerEntry[],
  writtenBy: string,
): SQL {
  const integers = (pick: (entry: LedgerEntry) => number) =>
    sql`${integerArray(entries.map(pick))}::integer[]`;
  const bigints = (pick: (entry: LedgerEntry) => bigint) => sql`${bigintArray(entries.map(pick))}::bigint[]`;
  return sql`with inserted as (${insertRows} returning 1)
    insert into ledger
      (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields, written_by)
    select entry.*, ${writtenBy}
    from unnest(${textArray(entries.map(({ topic }) => topic))}::text[], ${integers(({ partition }) => partition)},
      ${bigints(({ firstOffset }) => firstOffset)}, ${bigints(({ lastOffset }) => lastOffset)},
      ${integers(({ read }) => read)}, ${integers(({ inserted }) => inserted)}, ${integers(({ duplicate }) => duplicate)},
      ${integers(({ dead }) => dead)}, ${integers(({ unknownFields }) => unknownFields)}) as entry
    where (select assert_rows_new((select count(*) from inserted), ${sent}::bigint))`;
}
