import { sql, type SQL } from 'drizzle-orm';
import { addDays, type Day } from '../../shared/time.ts';

/**
 * Makes an empty table the partition of one day. Takes "share update exclusive" on the parent, which inserts and reads do not
 * mind (PostgreSQL manual, "alter table … attach partition"); the table being empty, nothing is scanned.
 */
export function attachPartition(table: string, partition: string, day: Day): SQL {
  return sql`alter table ${sql.identifier(table)} attach partition ${sql.identifier(partition)}
    for values from (${sql.raw(literal(day))}) to (${sql.raw(literal(addDays(day, 1)))})`;
}

/** DDL takes no parameters. `addDays` makes the text anew from a number, so a quote cannot be in it. */
function literal(day: Day): string {
  return `'${addDays(day, 0)}'`;
}
