import { tokensOf, type DayTokens } from '../../db/clear-tokens.ts';
import type { Session } from '../../db/client.ts';
import { countUserRows } from '../../db/queries/count-user-rows.ts';
import { findArchive, type FoundArchive } from '../../db/queries/find-archive.ts';
import { findDayKey } from '../../db/queries/find-day-key.ts';
import { listAsideTables, type AsideTable } from '../../db/queries/list-aside-tables.ts';
import { listArchivedDays } from '../../db/queries/list-archived-days.ts';
import type { ShredTarget } from '../../db/queries/insert-shred.ts';
import { listPartitionDays } from '../../db/queries/list-partition-days.ts';
import { listTokenEpochs, type TokenEpoch } from '../../db/queries/list-token-epochs.ts';
import { lastHorizonDay } from '../../shared/kafka/retention.ts';
import { dayOf, type Day } from '../../shared/time.ts';
import { orderOf } from './order.ts';
import type { ShredParts } from './parts.ts';

/** What an order would find. Nothing is written for it, in the access log neither: nothing is opened and nothing destroyed. */
export type Preview =
  | {
      readonly scope: 'day';
      readonly day: Day;
      readonly publicKey: boolean;
      readonly privateKeys: number;
      readonly table: DayTokens | null;
      /** Of tables of backfills. */
      readonly asides: Readonly<Record<string, DayTokens>>;
      readonly archive: { readonly state: string; readonly location: string } | null;
      readonly transitKey: boolean;
      /** The last day on which it has to stay; null: it would be destroyed at once. */
      readonly transitKeyUntil: Day | null;
      readonly orderedAt: string | null;
      readonly finishedAt: string | null;
    }
  | {
      readonly scope: 'user';
      readonly rows: number;
      readonly days: Readonly<Record<Day, number>>;
      /** Rows besides in tables of backfills. */
      readonly asides: Readonly<Record<string, number>>;
      readonly archivedDays: readonly Day[];
      readonly orderedAt: string | null;
      readonly finishedAt: string | null;
    }
  | {
      readonly scope: 'token_epoch';
      readonly epoch: number;
      readonly state: string | null;
      readonly pepper: boolean;
      readonly orderedAt: string | null;
      readonly finishedAt: string | null;
    };

/** `sluice shred … --dry-run`. @throws PipelineError of the vault and the database */
export async function preview<M>(parts: ShredParts<M>, target: ShredTarget): Promise<Preview> {
  return parts.database.withSession(async (session) => {
    const order = await orderOf(session, target);
    const known = { orderedAt: order?.ordered_at ?? null, finishedAt: order?.finished_at ?? null };
    if (target.scope === 'day') return { ...(await previewDay(parts, session, target.day)), ...known };
    if (target.scope === 'user') return { ...(await previewUser(parts, session, target.userId)), ...known };
    const { rows } = await session.execute<TokenEpoch>(listTokenEpochs());
    return {
      scope: 'token_epoch',
      epoch: target.epoch,
      state: rows.find(({ epoch }) => epoch === target.epoch)?.state ?? null,
      pepper: (await parts.inventory.pepperEpochs()).includes(target.epoch),
      ...known,
    };
  });
}

async function previewDay<M>(parts: ShredParts<M>, session: Session, day: Day) {
  const { rows: keys } = await session.execute(findDayKey(day));
  const { rows: partitions } = await session.execute<{ day: Day }>(listPartitionDays(parts.stream.name));
  const attached = partitions.some((partition) => partition.day === day);
  const { rows: archives } = await session.execute<FoundArchive>(findArchive(parts.stream.name, day));
  const archive = archives[0];
  return {
    scope: 'day',
    day,
    publicKey: keys.length > 0,
    privateKeys: (await parts.inventory.dayKeys()).filter((key) => key.day === day).length,
    table: attached ? await tokensOf(session, parts.stream, day) : null,
    asides: await asideTokens(parts, session, day),
    archive: archive === undefined ? null : { state: archive.state, location: archive.location },
    transitKey: (await parts.inventory.transitDays()).includes(day),
    transitKeyUntil: dayOf(parts.clock()) <= lastHorizonDay(day) ? lastHorizonDay(day) : null,
  } as const;
}

async function asideTokens<M>(
  parts: ShredParts<M>,
  session: Session,
  day: Day,
): Promise<Record<string, DayTokens>> {
  const { rows } = await session.execute<AsideTable>(listAsideTables(parts.stream.name, day));
  const found: Record<string, DayTokens> = {};
  for (const { name, reach } of rows) found[name] = await tokensOf(session, parts.stream, day, reach);
  return found;
}

async function asideRows<M>(
  parts: ShredParts<M>,
  session: Session,
  userId: string,
): Promise<Record<string, number>> {
  const { rows: asides } = await session.execute<AsideTable>(listAsideTables(parts.stream.name));
  const found: Record<string, number> = {};
  for (const reach of new Set(asides.map((aside) => aside.reach))) {
    const { rows } = await session.execute<{ rows: string }>(countUserRows(parts.stream, userId, reach));
    found[reach] = rows.reduce((sum, row) => sum + Number(row.rows), 0);
  }
  return found;
}

async function previewUser<M>(parts: ShredParts<M>, session: Session, userId: string) {
  const today = dayOf(parts.clock());
  const { rows } = await session.execute<{ day: Day; rows: string }>(countUserRows(parts.stream, userId));
  const { rows: archived } = await session.execute<{ day: Day }>(listArchivedDays(parts.stream.name, today));
  const days = Object.fromEntries(rows.map((row) => [row.day, Number(row.rows)]));
  return {
    scope: 'user',
    rows: Object.values(days).reduce((sum, count) => sum + count, 0),
    days,
    asides: await asideRows(parts, session, userId),
    archivedDays: archived.map(({ day }) => day),
  } as const;
}
