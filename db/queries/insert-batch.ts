import { sql, type SQL } from 'drizzle-orm';
import { bigintArray, integerArray, textArray } from '../binary-array.ts';
import type { LedgerEntry } from './insert-ledger.ts';

/**
 * A batch's rows (`insertNew`, of rowInserter) and its ledger in one statement, which is one transaction and one round trip. Fails with
 * SQLSTATE 23505, and writes nothing, unless every row was new.
 */
export function insertBatch(insertNew: SQL, entries: readonly LedgerEntry[], writtenBy: string): SQL {
  const integers = (pick: (entry: LedgerEntry) => number) =>
    sql`${integerArray(entries.map(pick))}::integer[]`;
  const bigints = (pick: (entry: LedgerEntry) => bigint) => sql`${bigintArray(entries.map(pick))}::bigint[]`;
  return sql`with inserted as (${insertNew})
    insert into ledger
      (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields, written_by)
    select entry.*, ${writtenBy}
    from unnest(${textArray(entries.map(({ topic }) => topic))}::text[], ${integers(({ partition }) => partition)},
      ${bigints(({ firstOffset }) => firstOffset)}, ${bigints(({ lastOffset }) => lastOffset)},
      ${integers(({ read }) => read)}, ${integers(({ inserted }) => inserted)}, ${integers(({ duplicate }) => duplicate)},
      ${integers(({ dead }) => dead)}, ${integers(({ unknownFields }) => unknownFields)}) as entry`;
}
