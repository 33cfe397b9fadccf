import { sql, type SQL } from 'drizzle-orm';

/**
 * What two tables do not have in common, a line each: columns with type and "not null", indexes by what they cover, constraints but
 * for those of single partitions. Nothing: one can take the place of the other's partitions. Reads catalogs.
 */
export function compareShapes(table: string, other: string): SQL<{ difference: string }> {
  return sql`(${shape(table)} except ${shape(other)}) union (${shape(other)} except ${shape(table)}) order by 1`;
}

function shape(table: string): SQL {
  return sql`(
      select format('column %s %s%s', attname, format_type(atttypid, atttypmod), case when attnotnull then ' not null' end)
        as difference
      from pg_attribute where attrelid = ${table}::regclass and attnum > 0 and not attisdropped
      union
      select format('%s index %s', case when indisunique then 'unique' else 'plain' end,
        regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', '')) from pg_index
      where indrelid = ${table}::regclass
      union
      select 'constraint ' || pg_get_constraintdef(oid) from pg_constraint
      where conrelid = ${table}::regclass and contype in ('c', 'u', 'x', 'f')
    )`;
}
