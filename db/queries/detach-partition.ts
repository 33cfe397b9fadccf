import { sql, type SQL } from 'drizzle-orm';

/**
 * Takes a partition out of its table while inserts and reads of others go on: "share update exclusive" on the parent, and a wait
 * for transactions that may still use the partition (PostgreSQL manual, "alter table … detach partition … concurrently"). Not inside a
 * transaction. Cut off, it is left pending: {@link finalizeDetach}.
 */
export function detachPartition(table: string, partition: string): SQL {
  return sql`alter table ${sql.identifier(table)} detach partition ${sql.identifier(partition)} concurrently`;
}

/** Finishes a detach that was cut off. */
export function finalizeDetach(table: string, partition: string): SQL {
  return sql`alter table ${sql.identifier(table)} detach partition ${sql.identifier(partition)} finalize`;
}

/** Takes a partition out inside a transaction: for that everybody who uses the table waits ("access exclusive"), until it ends. */
export function detachAtOnce(table: string, partition: string): SQL {
  return sql`alter table ${sql.identifier(table)} detach partition ${sql.identifier(partition)}`;
}
