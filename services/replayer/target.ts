import { sql, type SQL } from 'drizzle-orm';
import { dateArray, uuidArray } from '../../db/binary-array.ts';
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
  /** A statement that stores rows, or for a dry run none. */
  readonly insertRows: (rows: RowColumns) => SQL;
  /** The same, with `create_date` of each that was new, or for a dry run would be. */
  readonly newRows: (rows: RowColumns) => SQL;
}

/** The live table, or the shadow of this job. @throws PipelineError USAGE when the name of the job is none that a shadow can have */
export function targetOf<M>(stream: Stream<M>, plan: Pick<ReplayPlan, 'target' | 'job'>): Target {
  const name = plan.target === 'shadow' ? shadowTable(stream.name, plan.job) : stream.name;
  const table = sql`${sql.identifier(name)}`;
  if (plan.target === 'dry-run') {
    const newRows = (rows: RowColumns) => missingRows(table, rows);
    return { name, table, newRows, insertRows: newRows };
  }
  const insertRows = rowInserter(stream, table);
  return { name, table, insertRows, newRows: (rows) => sql`${insertRows(rows)} returning create_date` };
}

/** Those that an insert would add. A probe of the primary key (create_date, event_id) a row. */
function missingRows(table: SQL, { createDate, eventId }: RowColumns): SQL {
  return sql`select input.create_date from (
      select distinct create_date, event_id
      from unnest(${dateArray(createDate)}::date[], ${uuidArray(eventId)}::uuid[]) as given (create_date, event_id)
    ) input
    where not exists (
      select from ${table} event where event.create_date = input.create_date and event.event_id = input.event_id
    )`;
}
