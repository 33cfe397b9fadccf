import { sql, type SQL } from 'drizzle-orm';

export interface GivenRight extends Record<string, unknown> {
  readonly role: string;
  /** `SELECT`, `INSERT`, … */
  readonly privilege: string;
  /** Null: of the whole table. */
  readonly columns: readonly string[] | null;
}

/** What roles may do with a table, and with its columns. By the primary keys of pg_class and pg_attribute. */
export function listRights(table: string, roles: readonly string[]): SQL<GivenRight> {
  return sql`select grantee.rolname as role, given.privilege_type as privilege,
      array_agg(given."column"::text order by given."column") filter (where given."column" is not null) as columns
    from (
      select acl.*, null as "column" from pg_class, aclexplode(relacl) acl where oid = ${table}::regclass
      union all
      select acl.*, attname from pg_attribute, aclexplode(attacl) acl
      where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
    ) given
    join pg_roles grantee on grantee.oid = given.grantee
    where grantee.rolname = any(${sql.param(roles)}::text[])
    group by 1, 2, given."column" is null
    order by 1, 2`;
}

/** Gives the same right on another table. */
export function giveRight(table: string, { role, privilege, columns }: GivenRight): SQL {
  const names = columns?.map((column) => sql.identifier(column));
  const list = names === undefined ? sql`` : sql`(${sql.join(names, sql`, `)})`;
  return sql`grant ${sql.raw(privilege)} ${list} on ${sql.identifier(table)} to ${sql.identifier(role)}`;
}

/** Takes every right on a table from a role, those on columns too. */
export function takeRights(table: string, role: string): SQL {
  return sql`revoke all on ${sql.identifier(table)} from ${sql.identifier(role)}`;
}
