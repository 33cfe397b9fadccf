import { sql, type SQL } from 'drizzle-orm';

/** Sums of the ledger entries written after `afterId` (0: all), by the primary key. */
export function ledgerTotals(
  topic: string,
  afterId: bigint,
): SQL<{
  last_id: string;
  read: string;
  inserted: string;
  duplicate: string;
  dead: string;
  unknown_fields: string;
}> {
  return sql`select coalesce(max(id), ${afterId}::bigint) as last_id, coalesce(sum(read), 0) as read,
      coalesce(sum(inserted), 0) as inserted, coalesce(sum(duplicate), 0) as duplicate,
      coalesce(sum(dead), 0) as dead, coalesce(sum(unknown_fields), 0) as unknown_fields
    from ledger where id > ${afterId}::bigint and topic = ${topic}`;
}
