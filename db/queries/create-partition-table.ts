import { sql, type SQL } from 'drizzle-orm';

/**
 * A table that can be attached as a partition of `table`: the same columns, defaults, constraints and primary key. Apart from
 * attaching because "create table … partition of" locks the parent against every insert, and this locks it against nothing.
 */
export function createPartitionTable(table: string, partition: string): SQL {
  return sql`create table ${sql.identifier(partition)} (like ${sql.identifier(table)} including all)`;
}
