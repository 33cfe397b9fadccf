import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';

/*
 * A day as CSV. "copy" takes no parameters: names are quoted as identifiers, and a day is made of digits. In the settings of
 * {@link copySettings} the same rows are the same bytes, and come back as what they were.
 */

/** For the transaction that copies: times and bytes in one spelling, and no limit on how long it takes. */
export const copySettings: SQL = sql`select set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO, YMD', true),
  set_config('bytea_output', 'hex', true), set_config('client_encoding', 'UTF8', true), set_config('statement_timeout', '0', true)`;

export interface Column extends Record<string, unknown> {
  readonly name: string;
  readonly type: string;
}

/** The columns of a table in their order, with their types as Postgres writes them. */
export function listColumns(table: string): SQL<Column> {
  return sql`select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attnum`;
}

/** Rows in the order of the primary key. */
export function copyRowsOut(partition: string, columns: readonly string[]): SQL {
  return sql`copy (select ${identifiers(columns)} from ${sql.identifier(partition)} order by create_date, event_id)
    to stdout with (format csv, header)`;
}

export function copyRowsIn(partition: string, columns: readonly string[]): SQL {
  return sql`copy ${sql.identifier(partition)} (${identifiers(columns)}) from stdin with (format csv, header match)`;
}

/** The data keys of a day, sealed, in the order of their ids. By data_keys_day. */
export function copyDataKeysOut(day: Day): SQL {
  return sql`copy (select dek_id, day, sealed_dek, created_at, created_by from data_keys
    where day = ${sql.raw(literal(day))} order by dek_id) to stdout with (format csv, header)`;
}

/** For a restore into a database that may have lost them. */
export const makeDataKeyStage: SQL = sql`create temporary table data_keys_stage
  (dek_id bigint, day date, sealed_dek bytea, created_at timestamptz, created_by text) on commit drop`;
export const copyDataKeysIn: SQL = sql`copy data_keys_stage from stdin with (format csv, header match)`;
export const insertStagedDataKeys: SQL = sql`insert into data_keys (dek_id, day, sealed_dek, created_at, created_by)
  overriding system value select * from data_keys_stage on conflict do nothing`;
/** Data keys that are here under the same id and are not the same: of another database. */
export const countOtherDataKeys: SQL<{ count: string }> =
  sql`select count(*) from data_keys_stage s join data_keys k using (dek_id)
  where (k.day, k.sealed_dek) is distinct from (s.day, s.sealed_dek)`;
/** Ids that are given out later are higher than any that was restored. */
export const advanceDataKeyIds: SQL = sql`select setval(pg_get_serial_sequence('data_keys', 'dek_id'),
  greatest((select max(dek_id) from data_keys), nextval(pg_get_serial_sequence('data_keys', 'dek_id'))))`;

function identifiers(columns: readonly string[]): SQL {
  return sql.join(
    columns.map((column) => sql.identifier(column)),
    sql`, `,
  );
}

function literal(day: Day): string {
  if (!/^\d{4}-\d\d-\d\d$/.test(day)) throw new TypeError('not a day');
  return `'${day}'`;
}
