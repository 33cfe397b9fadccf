import { sql } from 'drizzle-orm';
import type { Session } from './client.ts';

/**
 * The schema of a database as text, from its catalogs, in an order that depends on nothing but names: tables with their columns,
 * defaults, constraints and partitioning, views, indexes, functions, triggers, and who may do what. Partitions are left out, for they are
 * data. `db/schema.sql` is this of a database that was migrated from nothing; it is read by people and compared in the tests, and
 * does not have to run.
 */
export async function dumpSchema(session: Session): Promise<string> {
  const parts = [
    ['tables', tables],
    ['views', views],
    ['indexes', indexes],
    ['functions', functions],
    ['triggers', triggers],
    ['rights', rights],
  ] as const;
  let text =
    '-- Dumped from the catalogs, not edited: "npx vitest run --project int test/db/schema --update" after a migration.\n';
  for (const [title, statement] of parts) {
    const { rows } = await session.execute<{ line: string }>(statement);
    text += `\n-- ${title}\n\n${rows.map(({ line }) => `${line}\n`).join('')}`;
  }
  return text;
}

/** Ours: in schema public, and no partition. Postgres 18 keeps "not null" as constraints too; columns say it. */
const ours = sql`n.nspname = 'public' and not c.relispartition`;

const tables = sql`
  select format(
    E'create table %I (\\n%s\\n)%s;\\n', c.relname, string_agg('  ' || piece, E',\\n' order by kind, place, piece),
    case when c.relkind = 'p' then ' partition by ' || pg_get_partkeydef(c.oid) else '' end
  ) as line
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select 1 as kind, a.attnum as place, format(
      '%I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' else '' end,
      case
        when a.attidentity = 'a' then ' generated always as identity'
        when d.adbin is not null then ' default ' || pg_get_expr(d.adbin, d.adrelid)
        else ''
      end
    ) as piece
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    union all
    select 2, 0, format('constraint %I %s', conname, pg_get_constraintdef(oid))
    from pg_constraint where conrelid = c.oid and contype <> 'n'
  ) pieces
  where ${ours} and c.relkind in ('r', 'p')
  group by c.oid, c.relname, c.relkind
  order by c.relname collate "C"`;

const views = sql`
  select format(E'create view %I as\n%s\n', c.relname, pg_get_viewdef(c.oid)) as line
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where ${ours} and c.relkind = 'v'
  order by c.relname collate "C"`;

const indexes = sql`
  select pg_get_indexdef(i.indexrelid) || ';' as line
  from pg_index i
  join pg_class c on c.oid = i.indrelid
  join pg_namespace n on n.oid = c.relnamespace
  where ${ours} and not exists (select from pg_constraint where conindid = i.indexrelid and conrelid = c.oid)
  order by 1`;

const functions = sql`
  select pg_get_functiondef(p.oid) || E';\\n' as line
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname = 'public'
  order by p.proname collate "C", pg_get_function_identity_arguments(p.oid)`;

const triggers = sql`
  select pg_get_triggerdef(t.oid) || ';' as line
  from pg_trigger t
  join pg_class c on c.oid = t.tgrelid
  join pg_namespace n on n.oid = c.relnamespace
  where ${ours} and not t.tgisinternal
  order by c.relname collate "C", t.tgname collate "C"`;

/** Everybody's rights but the owner's, who has all. */
const rights = sql`
  with entries as (
    select 'schema' as kind, n.nspname as object, null as part, n.nspowner as owner, acl.*
    from pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) acl where n.nspname = 'public'
    union all
    select 'table', c.relname, null, c.relowner, acl.*
    from pg_class c join pg_namespace n on n.oid = c.relnamespace,
      aclexplode(coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))) acl
    where ${ours} and c.relkind in ('r', 'p', 'S', 'v')
    union all
    select 'table', c.relname, a.attname, c.relowner, acl.*
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid,
      aclexplode(a.attacl) acl
    where ${ours} and not a.attisdropped
    union all
    select 'function', p.proname, null, p.proowner, acl.*
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
      aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl
    where n.nspname = 'public'
  ),
  named as (
    select kind, object, coalesce(r.rolname, 'public') as grantee, lower(privilege_type) as privilege,
      string_agg(quote_ident(part), ', ' order by part collate "C") as columns
    from entries left join pg_roles r on r.oid = grantee
    where grantee <> owner
    group by kind, object, r.rolname, privilege_type, part is null
  )
  select format(
    'grant %s on %s %I to %s;', privilege || coalesce(' (' || columns || ')', ''), kind, object, grantee
  ) as line
  from named
  order by kind collate "C", object collate "C", grantee collate "C", privilege, columns`;
