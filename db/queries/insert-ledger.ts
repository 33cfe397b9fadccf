import { sql, type SQL } from 'drizzle-orm';

/** What one batch did with one partition's range of offsets, both ends included. read = inserted + duplicate + dead. */
export interface LedgerEntry {
  readonly topic: string;
  readonly partition: number;
  readonly firstOffset: bigint;
  readonly lastOffset: bigint;
  readonly read: number;
  readonly inserted: number;
  readonly duplicate: number;
  readonly dead: number;
  /** Records that carried fields the stream does not know. */
  readonly unknownFields: number;
}

/** Written in the transaction of the rows it counts. */
export function insertLedger(entries: readonly LedgerEntry[], writtenBy: string): SQL {
  const rows = entries.map(
    (entry) =>
      sql`(${entry.topic}, ${entry.partition}::integer, ${entry.firstOffset}::bigint, ${entry.lastOffset}::bigint,
        ${entry.read}::integer, ${entry.inserted}::integer, ${entry.duplicate}::integer, ${entry.dead}::integer,
        ${entry.unknownFields}::integer, ${writtenBy})`,
  );
  return sql`insert into ledger
    (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields, written_by)
    values ${sql.join(rows, sql`, `)}`;
}
