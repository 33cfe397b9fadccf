import { createHash } from 'node:crypto';
import type { Connection, Session } from '../../db/client.ts';
import { findShredOrder, type ShredOrder } from '../../db/queries/find-shred-order.ts';
import { insertAccess } from '../../db/queries/insert-access.ts';
import { insertShred, type ShredTarget } from '../../db/queries/insert-shred.ts';
import { PipelineError } from '../../shared/errors.ts';

/** Who asked for it and why, for the access log. */
export interface Purpose {
  readonly reason: string;
  readonly ticket: string;
}

export interface PlacedOrder {
  readonly order: ShredOrder;
  /** The entry of the access log under which this run destroys. */
  readonly accessId: string;
}

/** The latest order about a target. @throws PipelineError of the database */
export async function orderOf(session: Session, target: ShredTarget): Promise<ShredOrder | undefined> {
  const { rows } = await session.execute<ShredOrder>(findShredOrder(target));
  return rows[0];
}

/** Whether it was carried out to its end. */
export function isFinished(order: ShredOrder | undefined): order is ShredOrder {
  return order !== undefined && order.finished_at !== null;
}

/**
 * Commits, in one transaction, an entry of the access log and the order, **before anything is destroyed**. An order that was not carried
 * out to its end is gone on with, under an entry of its own: somebody acted again. For a user, an order that was finished is followed by a new
 * one, for it covers what was sent before it.
 *
 * @throws PipelineError of the database
 */
export async function placeOrder(
  connection: Connection,
  target: ShredTarget,
  purpose: Purpose,
): Promise<PlacedOrder> {
  return connection.transaction(async (session) => {
    const before = await orderOf(session, target);
    const { rows } = await session.execute<{ id: string }>(
      insertAccess({ action: 'shred', ...purpose, subject: subjectOf(target) }),
    );
    if (before === undefined || (target.scope === 'user' && before.finished_at !== null)) {
      await session.execute(insertShred(target, purpose.reason, purpose.ticket));
    }
    const order = await orderOf(session, target);
    const accessId = rows[0]?.id;
    if (order === undefined || accessId === undefined) {
      throw new PipelineError('INTERNAL', 'the order to shred was not taken down');
    }
    return { order, accessId };
  });
}

/**
 * What the access log says was shredded: `day:2026-11-01`, `token-epoch:1`, `user:sha256:<hex of the user id's UTF-8>`.
 *
 * A user's id as its hash, because the log is append-only and outlives an erasure: what stands in it cannot be taken back. Whoever asks about
 * a user finds the entry by hashing the id. It hides nothing from who can guess ids; the order itself (`shreds`) keeps the id in clear for
 * as long as an archive may bring the user's rows back.
 */
export function subjectOf(target: ShredTarget): string {
  if (target.scope === 'day') return `day:${target.day}`;
  if (target.scope === 'token_epoch') return `token-epoch:${target.epoch}`;
  return `user:sha256:${createHash('sha256').update(target.userId, 'utf8').digest('hex')}`;
}
