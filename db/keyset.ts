import { sql, type Assume, type SQL } from 'drizzle-orm';
import type { QueryResultRow } from 'pg';
import type { Connection, Result } from './client.ts';

/**
 * Runs a statement that reads or writes a page of rows by the keys of an index, and makes Postgres go by that index. A partition that
 * has not been analysed yet looks as if it held a dozen rows: then every page would read, and sort, all that is left of it.
 *
 * @throws PipelineError of the database.
 */
export function executePage<Row extends QueryResultRow>(
  connection: Connection,
  statement: SQL<Row> | SQL,
): Promise<Result<Assume<Row, QueryResultRow>>> {
  return connection.transaction(async (session) => {
    await session.execute(sql`select ${sql.join(planner, sql`, `)}`);
    return session.execute(statement);
  });
}

/** Ways that pay off only for a large part of a table; for this transaction only. */
const planner = ['seqscan', 'bitmapscan', 'sort'].map(
  (way) => sql`set_config(${`enable_${way}`}, 'off', true)`,
);
