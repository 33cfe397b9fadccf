import { sql, type SQL } from 'drizzle-orm';

export type Privilege = 'select' | 'insert' | 'update' | 'delete';

/** A right on a table, or on one of its columns. */
export interface Right {
  readonly table: string;
  readonly privilege: Privilege;
  readonly column?: string;
}

/** Which of these rights this role has, in their order; null where there is no such table. From the catalogue alone. */
export function checkPrivileges(rights: readonly Right[]): SQL<{ held: boolean | null }> {
  const texts = (of: (right: Right) => string) => sql`${sql.param(rights.map(of))}::text[]`;
  return sql`select case
      when column_name = '' then has_table_privilege(to_regclass(table_name), privilege)
      else has_column_privilege(to_regclass(table_name), column_name, privilege)
    end as held
    from unnest(${texts(({ table }) => table)}, ${texts(({ column }) => column ?? '')}, ${texts(({ privilege }) => privilege)})
      with ordinality as wanted (table_name, column_name, privilege, number)
    order by number`;
}
