import { sql, type SQL } from 'drizzle-orm';

/** Where a day's own table is: part of its parent, on its way out, on its own, or nowhere. */
export interface PartitionPlace extends Record<string, unknown> {
  readonly place: 'attached' | 'detaching' | 'detached' | 'none';
}

/** By pg_class_relname_nsp_index and pg_inherits_relid_seqno_index. */
export function partitionPlace(table: string, partition: string): SQL<PartitionPlace> {
  return sql`select case
      when own.oid is null then 'none'
      when i.inhrelid is null then 'detached'
      when i.inhdetachpending then 'detaching'
      else 'attached'
    end as place
    from (select to_regclass(quote_ident(${partition})) as oid) own
    left join pg_inherits i on i.inhrelid = own.oid and i.inhparent = ${table}::regclass`;
}
