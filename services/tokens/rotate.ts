import type { Database } from '../../db/client.ts';
import { lockKeys, withLock } from '../../db/locks.ts';
import { beginEpoch, makeEpochPrior } from '../../db/queries/change-token-epoch.ts';
import { insertAccess } from '../../db/queries/insert-access.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { KeyKeeper } from '../../shared/vault/ports.ts';
import { changeEpochs, readEpochs } from './epochs.ts';

export interface Purpose {
  readonly reason: string;
  readonly ticket: string;
}

/** What a rotation did, or why it did nothing: a window is open. */
export type Rotation =
  | { readonly current: number; readonly prior: number }
  | { readonly openWindow: { readonly current: number; readonly prior: number } };

/**
 * Begins a new token epoch and, with it, a window: from the commit on every new row has a token of either epoch.
 *
 * **The pepper is in the vault before the epoch is in the database**, so no writer is ever told of an epoch without a pepper. A
 * crash in between leaves a pepper that nothing was masked with; the next rotation goes on with it. Refused while a window is open.
 *
 * @throws PipelineError of the vault or the database.
 */
export async function rotateTokens(parts: {
  readonly database: Database;
  readonly keeper: Pick<KeyKeeper, 'ensurePepper'>;
  readonly purpose: Purpose;
}): Promise<Rotation> {
  return parts.database.withSession((connection) =>
    withLock(connection, lockKeys.tokens, async (): Promise<Rotation> => {
      const { current, prior, latest } = await readEpochs(connection);
      if (prior !== undefined) return { openWindow: { current, prior } };
      const next = latest + 1;
      await parts.keeper.ensurePepper(next);
      await changeEpochs(connection, async (session) => {
        const { rowCount } = await session.execute(makeEpochPrior(current));
        if (rowCount !== 1)
          throw new PipelineError('DATABASE_UNAVAILABLE', 'another rotation came in between');
        await session.execute(beginEpoch(next));
        await session.execute(
          insertAccess({ action: 'rotate', ...parts.purpose, subject: `token epoch ${next}` }),
        );
      });
      return { current: next, prior: current };
    }),
  );
}
