import { sql, type SQL } from 'drizzle-orm';

/**
 * Whether this role may do what the writer does to its tables; an error of class 42 when one of them is missing. From the catalogue
 * alone: no table is read or locked.
 */
export function checkWriter(table: string): SQL<{ allowed: boolean }> {
  return sql`select has_table_privilege(${table}::regclass, 'insert')
      and has_table_privilege('ledger'::regclass, 'insert')
      and has_table_privilege('data_keys'::regclass, 'insert')
      and has_column_privilege('day_keys'::regclass, 'public_key', 'select')
      and has_table_privilege('token_epochs'::regclass, 'select') as allowed`;
}
