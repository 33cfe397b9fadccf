import { sql, type SQL } from 'drizzle-orm';

/** Another name for a table. Its indexes keep theirs, which nobody goes by. */
export function renameTable(table: string, name: string): SQL {
  return sql`alter table ${sql.identifier(table)} rename to ${sql.identifier(name)}`;
}
