import type { PreparingConnection } from '../../db/client.ts';
import { findReplayEntry } from '../../db/queries/find-replay-entry.ts';
import {
  insertReplayBatch,
  type InsertedBatch,
  type ReplayBatch,
} from '../../db/queries/insert-replay-batch.ts';
import type { RowColumns } from '../../db/queries/insert-rows.ts';
import { isTaken, preparedName, searchRefused } from '../../db/rows/search-refused.ts';
import type { ReplayStore } from './replay-range.ts';
import type { Target } from './target.ts';

/** Rows and ledger of a replay in Postgres, in one transaction. */
export function postgresStore(database: PreparingConnection, target: Target): ReplayStore {
  // Rows that are there come in runs: after one, look for each row first.
  let expectKnown = false;
  return {
    async insert(rows, entry) {
      const { insertNew } = target;
      if (insertNew !== undefined && !expectKnown) {
        try {
          const statement = insertReplayBatch({ insertNew: insertNew(rows) }, entry);
          return (await database.executePrepared(preparedName('replay_new', rows), statement)).rows[0];
        } catch (error) {
          // A row, or the ledger's entry: the other statement tells.
          if (!isTaken(error)) throw error;
        }
      }
      const inserted = await insertMissing(database, target, rows, entry);
      expectKnown = (inserted?.duplicate ?? 0) > 0;
      return inserted;
    },
    refused: (rows, range, refusalOf) => searchRefused(database, target, { rows, ...range }, refusalOf),
  };
}

async function insertMissing(
  database: PreparingConnection,
  target: Target,
  rows: RowColumns,
  entry: ReplayBatch,
): Promise<InsertedBatch | undefined> {
  const { job, partition, first, last, writtenBy } = entry;
  try {
    const statement = insertReplayBatch({ countMissing: target.countMissing(rows) }, entry);
    const inserted = await database.executePrepared(preparedName('replay_missing', rows), statement);
    return inserted.rows[0];
  } catch (error) {
    // Of unique keys only the ledger's can be at fault: rows that are there are passed over.
    if (!isTaken(error)) throw error;
    const { rows: entries } = await database.execute(findReplayEntry(job, partition, first));
    const [found] = entries;
    const ours = found?.written_by === writtenBy && BigInt(found.last_offset) === last;
    return ours ? found : undefined;
  }
}
