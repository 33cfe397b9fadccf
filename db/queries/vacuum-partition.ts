import { sql, type SQL } from 'drizzle-orm';

/**
 * Takes what was overwritten out of a partition's pages, and out of the samples that the planner keeps of its columns. Not in a
 * transaction. Waits for no writer and makes none wait.
 */
export function vacuumPartition(partition: string): SQL {
  return sql`vacuum (analyze) ${sql.identifier(partition)}`;
}
