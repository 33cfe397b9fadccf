import { lockKeys, withLock } from '../../db/locks.ts';
import { finishShred } from '../../db/queries/finish-shred.ts';
import { listTokenEpochs, type TokenEpoch } from '../../db/queries/list-token-epochs.ts';
import { PipelineError } from '../../shared/errors.ts';
import { isFinished, orderOf, placeOrder, type Purpose } from './order.ts';
import type { Refused, ShredParts } from './parts.ts';

export interface ShreddedEpoch {
  readonly scope: 'token_epoch';
  readonly epoch: number;
  readonly order: string;
  readonly ticket: string;
  readonly orderedAt: string;
  readonly finishedAt: string;
  /** It had been done before, and its pepper has not come back since. */
  readonly already: boolean;
  readonly accessId?: string;
  readonly proof: unknown;
}

/**
 * Destroys the pepper of a token epoch that is retired: what tokens of it lie in old backups and exports can then be tied to no value any
 * more, not even by guessing. The order and its entry in the access log are committed first.
 *
 * An epoch in use is refused: the writer would wait for its pepper for ever.
 *
 * @throws PipelineError of the vault and the database
 */
export async function shredEpoch<M>(
  parts: ShredParts<M>,
  epoch: number,
  purpose: Purpose,
): Promise<ShreddedEpoch | Refused> {
  const target = { scope: 'token_epoch', epoch } as const;
  return parts.database.withSession((connection) =>
    // The same that beginning and ending an epoch takes: what is retired stays so meanwhile.
    withLock(connection, lockKeys.tokens, async () => {
      const { rows } = await connection.execute<TokenEpoch>(listTokenEpochs());
      const state = rows.find((row) => row.epoch === epoch)?.state;
      if (state === undefined) return { refused: `there is no token epoch ${epoch}` };
      if (state !== 'retired') {
        return { refused: `token epoch ${epoch} is ${state}: only a retired one can be shredded` };
      }
      const before = await orderOf(connection, target);
      const there = (await parts.inventory.pepperEpochs()).includes(epoch);
      if (isFinished(before) && !there) return report(epoch, before, { already: true });
      const { order, accessId } = await placeOrder(connection, target, purpose);
      await parts.destroyer.destroyPepper(epoch);
      if ((await parts.inventory.pepperEpochs()).includes(epoch)) {
        throw new PipelineError('VAULT_UNAVAILABLE', `the vault still lists the pepper of epoch ${epoch}`);
      }
      await connection.execute(finishShred(order.id, { peppersLeft: 0 }));
      return report(epoch, (await orderOf(connection, target)) ?? order, { already: false, accessId });
    }),
  );
}

function report(
  epoch: number,
  order: NonNullable<Awaited<ReturnType<typeof orderOf>>>,
  run: { already: boolean; accessId?: string },
): ShreddedEpoch {
  return {
    scope: 'token_epoch',
    epoch,
    order: order.id,
    ticket: order.ticket,
    orderedAt: order.ordered_at,
    finishedAt: order.finished_at ?? '',
    ...run,
    proof: order.proof,
  };
}
