import { sql, type SQL } from 'drizzle-orm';
import type { Day } from '../../shared/time.ts';
import type { Column } from './copy-day.ts';

/** A day in two tables. */
export interface DayPair {
  readonly day: Day;
  /** The tables' names; each is read for that day only. */
  readonly live: string;
  readonly aside: string;
  /** Columns that are compared as they are. */
  readonly plain: readonly string[];
  /** Columns of tokens: compared where both are of one epoch, or one is not there. */
  readonly tokens: readonly string[];
}

/** Counts: rows on one side only, on both, on both and different; the columns under `different_0`, `different_1`, … in the order of {@link comparedColumns}. */
export interface DayCounts extends Record<string, unknown> {
  readonly only_live: string;
  readonly only_aside: string;
  readonly both: string;
  readonly different: string;
  /** Rows with a token on both sides, of two epochs: whether they mean the same cannot be seen. */
  readonly other_epoch: string;
}

/** Columns with their types, and whether this role may read them. By pg_attribute_relid_attnum_index. */
export function listReadable(table: string): SQL<Column & { readonly readable: boolean }> {
  return sql`select attname as name, format_type(atttypid, atttypmod) as type,
      has_column_privilege(attrelid, attnum, 'select') as readable
    from pg_attribute where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attnum`;
}

/** In the order of {@link DayCounts}. */
export function comparedColumns({ plain, tokens }: DayPair): string[] {
  return [...plain, ...tokens];
}

/** Reads the day whole in both tables, and brings rows of one identity together. */
export function compareDay(pair: DayPair): SQL<DayCounts> {
  const each = differences(pair);
  const both = sql`live.event_id is not null and aside.event_id is not null`;
  const byColumn = each.map(
    (differs, i) =>
      sql`count(*) filter (where ${both} and ${differs}) as ${sql.identifier(`different_${i}`)}`,
  );
  const other = pair.tokens.map((column) => otherEpoch(column));
  return sql`select count(*) filter (where aside.event_id is null) as only_live,
      count(*) filter (where live.event_id is null) as only_aside,
      count(*) filter (where ${both}) as both,
      count(*) filter (where ${both} and ${any(each)}) as different,
      count(*) filter (where ${both} and ${any(other)}) as other_epoch,
      ${sql.join(byColumn, sql`, `)}
    from ${joined(pair)}`;
}

export type Difference = 'only_live' | 'only_aside' | 'different';

/** The first few events of a kind, by id: nothing else of them. */
export function listDifferent(pair: DayPair, kind: Difference, limit: number): SQL<{ event_id: string }> {
  const both = sql`live.event_id is not null and aside.event_id is not null`;
  const wanted = {
    only_live: sql`aside.event_id is null`,
    only_aside: sql`live.event_id is null`,
    different: sql`${both} and ${any(differences(pair))}`,
  }[kind];
  return sql`select coalesce(live.event_id, aside.event_id) as event_id from ${joined(pair)}
    where ${wanted} order by 1 limit ${limit}`;
}

function joined({ day, live, aside, plain, tokens }: DayPair): SQL {
  const columns = ['event_id', ...plain, ...tokens].map((column) => sql.identifier(column));
  const of = (table: string) =>
    sql`(select ${sql.join(columns, sql`, `)} from ${sql.identifier(table)} where create_date = ${day})`;
  return sql`${of(live)} live full join ${of(aside)} aside on aside.event_id = live.event_id`;
}

function differences({ plain, tokens }: DayPair): SQL[] {
  return [
    ...plain.map((column) => differs(column)),
    ...tokens.map((column) => sql`(${differs(column)} and not ${otherEpoch(column)})`),
  ];
}

function differs(column: string): SQL {
  return sql`live.${sql.identifier(column)} is distinct from aside.${sql.identifier(column)}`;
}

/** `t1:…` and `t2:…`. */
function otherEpoch(column: string): SQL {
  const epoch = (side: string) => sql`split_part(${sql.identifier(side)}.${sql.identifier(column)}, ':', 1)`;
  return sql`coalesce(${epoch('live')} <> ${epoch('aside')}, false)`;
}

function any(conditions: readonly SQL[]): SQL {
  return sql`(${conditions.length === 0 ? sql`false` : sql.join([...conditions], sql` or `)})`;
}
