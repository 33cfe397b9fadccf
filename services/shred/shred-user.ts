import type { Connection } from '../../db/client.ts';
import { withCustodyLock } from '../../db/locks.ts';
import { countErased, type ErasedDay } from '../../db/queries/count-erased.ts';
import { eraseUsers } from '../../db/queries/erase-users.ts';
import { finishShred } from '../../db/queries/finish-shred.ts';
import type { ShredOrder } from '../../db/queries/find-shred-order.ts';
import { listAsideTables, type AsideTable } from '../../db/queries/list-aside-tables.ts';
import { listArchivedDays } from '../../db/queries/list-archived-days.ts';
import { listPartitionDays } from '../../db/queries/list-partition-days.ts';
import { PipelineError } from '../../shared/errors.ts';
import { lastRawDay, lastTransitDay } from '../../shared/kafka/retention.ts';
import type { Day } from '../../shared/time.ts';
import { orderOf, placeOrder, type Purpose } from './order.ts';
import type { ShredParts } from './parts.ts';

/** Counted in the table when all was done, without a word of whom it was about. */
export interface UserProof extends Record<string, unknown> {
  readonly rowsErased: number;
  readonly rowsLeft: 0;
  /** Rows erased, by day. */
  readonly days: Readonly<Record<Day, number>>;
  /** Rows erased besides in tables of backfills; left out where there is none. */
  readonly asides?: Readonly<Record<string, number>>;
  /** Days in the archive, whose rows of this user are erased when they come back. */
  readonly archivedDays: readonly Day[];
}

export interface ErasedUser {
  readonly scope: 'user';
  readonly order: string;
  readonly ticket: string;
  readonly orderedAt: string;
  readonly finishedAt: string;
  readonly accessId: string;
  /** Rows that this run erased; the proof counts those of a run before it that was cut off as well. */
  readonly rowsErased: number;
  readonly proof: UserProof;
  /** The last days on which bodies that were sent before the order can still lie in the topics, sealed under their transit keys. */
  readonly rawTopicUntil: Day;
  readonly deadLetterTopicUntil: Day;
}

/**
 * Erases a user's personal fields, sealed and as tokens, in every row sent before the order. The rows stay: that somebody signed in, and when, is
 * not erased. The order is committed first, with its entry in the access log; each day is erased at once or not at all, so that a run which
 * was cut off is finished by the next under the same order.
 *
 * What is not in the table the order reaches later: archived days when they are restored, and records that lie unread in the topics when
 * `sluice maintain` sweeps. What the user does afterwards is not covered: that takes another order.
 *
 * @throws PipelineError USAGE, and of the database
 */
export async function shredUser<M>(
  parts: ShredParts<M>,
  userId: string,
  purpose: Purpose,
): Promise<ErasedUser> {
  checkUserId(userId);
  const target = { scope: 'user', userId } as const;
  return parts.database.withSession((connection) =>
    withCustodyLock(connection, async () => {
      const { order, accessId } = await placeOrder(connection, target, purpose);
      const table = parts.stream.name;
      const { rows: partitions } = await connection.execute<{ day: Day }>(listPartitionDays(table));
      const days = partitions.map(({ day }) => day).filter((day) => day <= order.ordered_on);
      let rowsErased = 0;
      for (const day of days) {
        const { rowCount } = await connection.execute(eraseUsers(parts.stream, day, [order.id]));
        rowsErased += rowCount;
        parts.onProgress?.(1, days.length);
      }
      const asides = await eraseAsides(parts, connection, order);
      const { rows: erased } = await connection.execute<ErasedDay>(
        countErased(parts.stream, order.id, order.ordered_on),
      );
      const { rows: archived } = await connection.execute<{ day: Day }>(
        listArchivedDays(table, order.ordered_on),
      );
      const proof = proofOf(erased, archived, asides);
      await connection.execute(finishShred(order.id, proof));
      const finished = await orderOf(connection, target);
      return {
        scope: 'user',
        order: order.id,
        ticket: order.ticket,
        orderedAt: order.ordered_at,
        finishedAt: finished?.finished_at ?? '',
        accessId,
        rowsErased,
        proof,
        rawTopicUntil: lastRawDay(order.ordered_on, parts.retention),
        deadLetterTopicUntil: lastTransitDay(order.ordered_on, parts.retention),
      };
    }),
  );
}

/** In what a replay has filled, and in what a swap has put aside: neither may bring the user back. */
async function eraseAsides<M>(
  parts: ShredParts<M>,
  connection: Connection,
  order: ShredOrder,
): Promise<Map<string, ErasedDay[]>> {
  const { rows } = await connection.execute<AsideTable>(listAsideTables(parts.stream.name));
  const due = rows.filter(({ day }) => day <= order.ordered_on);
  for (const { day, reach } of due) {
    await connection.execute(eraseUsers(parts.stream, day, [order.id], reach));
  }
  const counted = new Map<string, ErasedDay[]>();
  for (const reach of new Set(due.map((aside) => aside.reach))) {
    const count = countErased(parts.stream, order.id, order.ordered_on, reach);
    counted.set(reach, (await connection.execute<ErasedDay>(count)).rows);
  }
  return counted;
}

function proofOf(
  erased: readonly ErasedDay[],
  archived: readonly { day: Day }[],
  asides: ReadonlyMap<string, readonly ErasedDay[]>,
): UserProof {
  const all = [...erased, ...[...asides.values()].flat()];
  const left = all.reduce((sum, day) => sum + Number(day.left), 0);
  // Of a row that came meanwhile: sent before the order, written after its day was done.
  if (left > 0) throw new PipelineError('DATABASE_UNAVAILABLE', `${left} rows came meanwhile: run it again`);
  const days = Object.fromEntries(
    erased.filter((day) => day.erased !== '0').map((day) => [day.day, Number(day.erased)]),
  );
  return {
    rowsErased: Object.values(days).reduce((sum, rows) => sum + rows, 0),
    rowsLeft: 0,
    days,
    ...(asides.size === 0
      ? {}
      : { asides: Object.fromEntries([...asides].map(([table, of]) => [table, rowsOf(of)])) }),
    archivedDays: archived.map(({ day }) => day),
  };
}

function rowsOf(days: readonly ErasedDay[]): number {
  return days.reduce((sum, { erased }) => sum + Number(erased), 0);
}

/** As the stream's schema has it: 1 to 128 characters, no NUL. */
function checkUserId(userId: string): void {
  const characters = Array.from(userId).length;
  if (characters >= 1 && characters <= 128 && userId.isWellFormed() && !userId.includes('\0')) return;
  throw new PipelineError('USAGE', '--user-id is not 1 to 128 characters');
}
