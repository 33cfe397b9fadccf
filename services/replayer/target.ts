import { sql, type SQL } from 'drizzle-orm';
import { rowInserter, type RowColumns } from '../../db/queries/insert-rows.ts';
import { shadowTable } from '../../db/shadow/names.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { ReplayPlan } from './plan.ts';

/** Where rows go. */
export interface Target {
  /** Of the table. */
  readonly name: string;
  /** The table, for statements. */
  readonly table: SQL;
  /** Stores rows that are all new: see {@link RowInserter.insertNew}. Not for a dry run, which stores none. */
  readonly insertNew: ((rows: RowColumns) => SQL) | undefined;
  /** A statement that stores those that are missing, or for a dry run none. */
  readonly insertMissing: (rows: RowColumns) => SQL;
  /** The same, with `create_date` of each that was new, or for a dry run would be. */
  readonly countMissing: (rows: RowColumns) => SQL;
}

/** The live table, or the shadow of this job. @throws PipelineError USAGE when the name of the job is none that a shadow can have */
export function targetOf<M>(stream: Stream<M>, plan: Pick<ReplayPlan, 'target' | 'job'>): Target {
  const name = plan.target === 'shadow' ? shadowTable(stream.name, plan.job) : stream.name;
  const table = sql`${sql.identifier(name)}`;
  if (plan.target === 'dry-run') {
    const missing = (rows: RowColumns) => missingRows(table, rows);
    return { name, table, insertNew: undefined, insertMissing: missing, countMissing: missing };
  }
  const { insertNew, insertMissing } = rowInserter(stream, table);
  const countMissing = (rows: RowColumns) => sql`${insertMissing(rows)} returning create_date`;
  return { name, table, insertNew, insertMissing, countMissing };
}

/** Those that an insert would add. A probe of the primary key (create_date, event_id) a row. */
function missingRows(table: SQL, { createDate, eventId }: RowColumns): SQL {
  return sql`select input.create_date from (
      select distinct create_date, event_id
      from unnest(${createDate.array}::date[], ${eventId.array}::uuid[]) as given (create_date, event_id)
    ) input
    where not exists (
      select from ${table} event where event.create_date = input.create_date and event.event_id = input.event_id
    )`;
}
