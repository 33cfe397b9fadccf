import type { PreparingConnection } from '../../db/client.ts';
import { findReplayEntry } from '../../db/queries/find-replay-entry.ts';
import {
  insertReplayBatch,
  type InsertedBatch,
  type ReplayBatch,
} from '../../db/queries/insert-replay-batch.ts';
import type { RowColumns } from '../../db/queries/insert-rows.ts';
import { preparedName, searchRefused } from '../../db/rows/search-refused.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { ReplayStore } from './replay-range.ts';
import type { Target } from './target.ts';

/** Rows and ledger of a replay in Postgres. */
export function postgresStore(database: PreparingConnection, target: Target): ReplayStore {
  return {
    insert: (rows, entry) => insert(database, target, rows, entry),
    refused: (rows, range, refusalOf) =>
      searchRefused(database, target.insertRows, { rows, ...range }, refusalOf),
  };
}

async function insert(
  database: PreparingConnection,
  target: Target,
  rows: RowColumns,
  entry: ReplayBatch,
): Promise<InsertedBatch | undefined> {
  const { job, partition, first, last, writtenBy } = entry;
  try {
    const statement = insertReplayBatch(target.newRows(rows), entry);
    const inserted = await database.executePrepared(preparedName('replay_batch', rows), statement);
    return inserted.rows[0];
  } catch (error) {
    // Of unique keys only the ledger's can be at fault: rows that are there are passed over.
    const taken = error instanceof PipelineError && error.detail === 'SQLSTATE 23505';
    if (!taken) throw error;
    const { rows: entries } = await database.execute(findReplayEntry(job, partition, first));
    const [found] = entries;
    const ours = found?.written_by === writtenBy && BigInt(found.last_offset) === last;
    return ours ? found : undefined;
  }
}
