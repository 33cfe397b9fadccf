import type { Connection, Database } from '../../db/client.ts';
import { executePage } from '../../db/keyset.ts';
import { lockKeys, withLock } from '../../db/locks.ts';
import { retireEpoch } from '../../db/queries/change-token-epoch.ts';
import { clearPriorTokens } from '../../db/queries/clear-prior-tokens.ts';
import { insertAccess } from '../../db/queries/insert-access.ts';
import { listTokenDays, type TokenDay } from '../../db/queries/list-token-days.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { countDays, type DayTokens } from './count.ts';
import { changeEpochs, readEpochs } from './epochs.ts';
import type { Purpose } from './rotate.ts';

/** What was finished, or why it was not: rows that have tokens of an epoch before and of no other. */
export type Finish =
  | { readonly retired: number | undefined; readonly cleared: number }
  | { readonly stale: readonly DayTokens[] };

interface FinishParts<M> {
  readonly database: Database;
  readonly stream: Stream<M>;
  readonly purpose: Purpose;
  /** Finish although some rows keep tokens of an epoch before: those whose fields do not open. */
  readonly leaveStale?: boolean;
  readonly onProgress?: (rows: number) => void;
  readonly pageRows?: number;
}

/** Rows cleared by one statement: well under a second. */
const defaultPageRows = 5_000;

/**
 * Closes the window: the prior epoch is retired in one transaction, after which analysts see the current one, and then its tokens
 * are cleared in batches. Refused while a live row has no token of the current epoch. No row can come in between: new ones have
 * had both since the window was opened. Any number of times; a run that was cut off is gone on with by the next, which clears what
 * is left. Nobody sees how far that has come.
 *
 * @throws PipelineError of the database.
 */
export async function finishTokens<M>(parts: FinishParts<M>): Promise<Finish> {
  return parts.database.withSession((connection) =>
    withLock(connection, lockKeys.tokens, async (): Promise<Finish> => {
      const { current, prior } = await readEpochs(connection);
      if (prior !== undefined) {
        const stale = (await countDays(connection, parts.stream, current)).filter((day) => day.stale > 0);
        if (stale.length > 0 && parts.leaveStale !== true) return { stale };
        await retire(connection, prior, parts.purpose);
      }
      return { retired: prior, cleared: await clearAll(connection, parts) };
    }),
  );
}

async function retire(connection: Connection, epoch: number, purpose: Purpose): Promise<void> {
  await changeEpochs(connection, async (session) => {
    const { rowCount } = await session.execute(retireEpoch(epoch));
    if (rowCount !== 1) throw new PipelineError('DATABASE_UNAVAILABLE', 'the epochs changed in between');
    await session.execute(insertAccess({ action: 'finish', ...purpose, subject: `token epoch ${epoch}` }));
  });
}

async function clearAll<M>(connection: Connection, parts: FinishParts<M>): Promise<number> {
  const limit = parts.pageRows ?? defaultPageRows;
  let total = 0;
  const { rows: days } = await connection.execute<TokenDay>(listTokenDays());
  for (const { day } of days) {
    for (let after: string | undefined; ;) {
      const { rows } = await executePage(connection, clearPriorTokens(parts.stream, { day, after, limit }));
      const [page] = rows;
      if (page === undefined || page.last === null) break;
      total += page.cleared;
      parts.onProgress?.(page.cleared);
      after = page.last;
    }
  }
  return total;
}
