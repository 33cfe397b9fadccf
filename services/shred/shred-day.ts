import { tokensOf } from '../../db/clear-tokens.ts';
import type { Connection, Session } from '../../db/client.ts';
import { withCustodyLock } from '../../db/locks.ts';
import { countDataKeys } from '../../db/queries/count-data-keys.ts';
import { findArchive, type ArchiveState, type FoundArchive } from '../../db/queries/find-archive.ts';
import { findDayKey } from '../../db/queries/find-day-key.ts';
import { finishShred } from '../../db/queries/finish-shred.ts';
import { listAsideTables, type AsideTable } from '../../db/queries/list-aside-tables.ts';
import { listPartitionDays } from '../../db/queries/list-partition-days.ts';
import { markDayDestroyed } from '../../db/queries/mark-day-destroyed.ts';
import { noteArchiveCleared } from '../../db/queries/note-archive-cleared.ts';
import { tokenColumns } from '../../db/queries/personal-columns.ts';
import { PipelineError } from '../../shared/errors.ts';
import { lastHorizonDay } from '../../shared/kafka/retention.ts';
import { dayOf, horizon, type Day } from '../../shared/time.ts';
import { clearArchivedCopy, type ClearedCopy } from './archived-copy.ts';
import { asidesProof, clearAsides, clearTable, nothing } from './clear-tables.ts';
import { isFinished, orderOf, placeOrder, type Purpose } from './order.ts';
import type { Refused, ShredParts } from './parts.ts';

/** What was found when all was done: counted anew, not remembered. It is what `shreds.proof` holds. */
export interface DayProof extends Record<string, unknown> {
  readonly privateKeysLeft: 0;
  /** Data keys that were sealed to the day's public key, and that nothing opens any more. */
  readonly dataKeys: number;
  /** Rows in the table, and how many of them have a token; null when the day has no partition. */
  readonly table: { readonly rows: number; readonly withTokens: 0 } | null;
  /** The same of each table of a backfill that has rows of the day; left out where there is none. */
  readonly asides?: Readonly<Record<string, { readonly rows: number; readonly withTokens: 0 }>>;
  readonly archive: {
    readonly rows: number;
    readonly tokens: 0;
    readonly manifestSha256: string;
  } | null;
  /** `destroyed`, or the last day on which it is there: then maintenance destroys it. */
  readonly transitKey: 'destroyed' | { readonly until: Day };
}

export interface ShreddedDay {
  readonly scope: 'day';
  readonly day: Day;
  readonly order: string;
  readonly ticket: string;
  readonly orderedAt: string;
  readonly finishedAt: string;
  /** It had been done before, and nothing has come back since. */
  readonly already: boolean;
  /** The entry of the access log of this run, which destroyed this much; undefined when it had nothing to do. */
  readonly accessId?: string;
  readonly privateKeysDestroyed: number;
  readonly rowsCleared: number;
  readonly archivedTokensCleared: number;
  readonly proof: unknown;
  /** Until the end of that day bodies in the topics open with the transit key, for connectors and writers need it; null: it is destroyed. */
  readonly bodiesReadableUntil: Day | null;
}

/**
 * Shreds a day: from then on nobody can open its fields, wherever copies of them lie, and nobody can join on its tokens. In this order, each
 * step safe to do again, so that a run which was cut off is finished by the next:
 *
 * 1. the entry of the access log and the order (`shreds`), committed; 2. the day's key marked as destroyed, so that writers stop; 3. its private
 * keys destroyed in the vault, live and archived; 4. tokens cleared in the table, and in those of backfills; 5. tokens cleared in the archive; 6. the transit key destroyed,
 * when the day lies before the horizon; 7. everything looked at anew, and that written down as proof.
 *
 * **A day that is not over is refused, and there is no flag for it**: the order would also destroy what has not come yet, unseen; whoever
 * must stop today's events stops the connector, and shreds tomorrow. A day that was shredded and of which something is back (a vault put
 * back from a backup, a late writer) is shredded again under its old order.
 *
 * @throws PipelineError USAGE; of the vault, the database and the archive; CONFIG_INVALID when the day lies in an archive and `place` is not it.
 */
export async function shredDay<M>(
  parts: ShredParts<M>,
  day: Day,
  purpose: Purpose,
): Promise<ShreddedDay | Refused> {
  const today = checkOver(parts, day);
  return parts.database.withSession((connection) =>
    withCustodyLock(connection, async () => {
      const found = await lookAt(parts, connection, day);
      if ('refused' in found) return found;
      if (isFinished(found.order) && found.nothingLeft) {
        return describe(day, today, found.order, { already: true });
      }
      checkPlace(parts, found.archive);
      const { order, accessId } = await placeOrder(connection, { scope: 'day', day }, purpose);
      await connection.execute(markDayDestroyed(day));
      const privateKeysDestroyed = await parts.destroyer.destroyDayKeys(day);
      const cleared = found.attached ? await clearTable(parts, connection, day) : nothing;
      const asides = await clearAsides(parts, connection, day, found.asides);
      const all = [cleared, ...asides.map(({ done }) => done)];
      const withTokens = all.reduce((sum, one) => sum + one.withTokens, 0);
      if (found.archive !== undefined && isUnderWay(found.archive.state)) {
        return underWay(parts, day, found.archive.state);
      }
      const copy = await clearArchive(parts, connection, day, found.archive);
      const keepTransit = today <= lastHorizonDay(day);
      if (!keepTransit) await parts.destroyer.destroyTransitKey(day);
      if (withTokens > 0) {
        return {
          refused: `${withTokens} rows of ${day} came while tokens were being cleared; its private keys are destroyed; run this again in a minute`,
        };
      }
      const proof: DayProof = {
        privateKeysLeft: await noKeysLeft(parts, day),
        dataKeys: await dataKeysOf(connection, day),
        table: found.attached ? { rows: cleared.rows, withTokens: 0 } : null,
        ...(asides.length === 0 ? {} : { asides: asidesProof(asides) }),
        archive: copy === undefined ? null : archiveProof(copy),
        transitKey: keepTransit ? { until: lastHorizonDay(day) } : await noTransitKeyLeft(parts, day),
      };
      await connection.execute(finishShred(order.id, proof));
      const finished = await orderOf(connection, { scope: 'day', day });
      return describe(day, today, finished ?? order, {
        already: false,
        accessId,
        privateKeysDestroyed,
        rowsCleared: all.reduce((sum, one) => sum + one.rowsCleared, 0),
        archivedTokensCleared: copy?.cleared ?? 0,
      });
    }),
  );
}

interface Found {
  readonly order: Awaited<ReturnType<typeof orderOf>>;
  readonly attached: boolean;
  readonly asides: readonly AsideTable[];
  readonly archive: FoundArchive | undefined;
  /** No private key, no token in a table, and the transit key gone unless it may be there. */
  readonly nothingLeft: boolean;
}

async function lookAt<M>(parts: ShredParts<M>, session: Session, day: Day): Promise<Found | Refused> {
  const { rows: keys } = await session.execute(findDayKey(day));
  if (keys.length === 0) return { refused: `${day} has no key: nothing was ever sealed to it` };
  const order = await orderOf(session, { scope: 'day', day });
  const { rows: partitions } = await session.execute<{ day: Day }>(listPartitionDays(parts.stream.name));
  const attached = partitions.some((partition) => partition.day === day);
  const { rows: asides } = await session.execute<AsideTable>(listAsideTables(parts.stream.name, day));
  const { rows: archives } = await session.execute<FoundArchive>(findArchive(parts.stream.name, day));
  const tables = [...(attached ? [parts.stream.name] : []), ...asides.map(({ reach }) => reach)];
  let tokens = 0;
  for (const table of tables) tokens += (await tokensOf(session, parts.stream, day, table)).withTokens;
  const nothingLeft =
    (await keysOf(parts, day)) === 0 &&
    tokens === 0 &&
    (dayOf(parts.clock()) <= lastHorizonDay(day) || !(await parts.inventory.transitDays()).includes(day));
  return { order, attached, asides, archive: archives[0], nothingLeft };
}

async function clearArchive<M>(
  parts: ShredParts<M>,
  session: Session,
  day: Day,
  archive: FoundArchive | undefined,
): Promise<ClearedCopy | undefined> {
  const { place, stream } = parts;
  if (archive === undefined || place === undefined) return undefined;
  const copy = await clearArchivedCopy(
    place,
    { table: stream.name, day, tokenColumns: tokenColumns(stream) },
    archive.manifest_sha256 ?? undefined,
  );
  if (copy.left > 0)
    throw new PipelineError('ARCHIVE_DAMAGED', `${place.url}: tokens of ${day} are still there`);
  await session.execute(noteArchiveCleared(stream.name, day, copy));
  return copy;
}

function checkOver<M>(parts: ShredParts<M>, day: Day): Day {
  const today = dayOf(parts.clock());
  if (day < today) return today;
  throw new PipelineError('USAGE', `${day} is not over yet (UTC): a day can be shredded once it is`);
}

/** Before anything is destroyed: an order that cannot be finished for want of a setting is better not begun. */
function checkPlace<M>(parts: ShredParts<M>, archive: FoundArchive | undefined): void {
  if (archive === undefined || isUnderWay(archive.state)) return;
  if (parts.place === undefined) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `ARCHIVE_URL is not set, and the day lies in ${archive.location}`,
    );
  }
  if (!archive.location.startsWith(parts.place.url)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `ARCHIVE_URL is ${parts.place.url}, and the day lies in ${archive.location}`,
    );
  }
}

/** Its rows are in a table of their own, out of the shredder's reach, and what lies in the archive is not whole. */
function isUnderWay(state: ArchiveState): boolean {
  return state !== 'archived' && state !== 'restored';
}

function underWay<M>(parts: ShredParts<M>, day: Day, state: ArchiveState): Refused {
  const days = Math.max(horizon.daysBack, parts.retention.RAW_TOPIC_RETENTION_DAYS) + 1;
  // Restoring a shredded day is refused too, but takes back what it had begun.
  const command =
    state === 'restoring' ? `restore --day ${day}` : `archive --older-than ${days}d --day ${day}`;
  return {
    refused: `the private keys of ${day} are destroyed, but a run was cut off with its rows half-way (${state}): run "sluice ${command}", then this again for its tokens`,
  };
}

async function keysOf<M>(parts: ShredParts<M>, day: Day): Promise<number> {
  return (await parts.inventory.dayKeys()).filter((key) => key.day === day).length;
}

async function noKeysLeft<M>(parts: ShredParts<M>, day: Day): Promise<0> {
  const left = await keysOf(parts, day);
  if (left === 0) return 0;
  throw new PipelineError('VAULT_UNAVAILABLE', `the vault still lists ${left} private keys of ${day}`);
}

async function noTransitKeyLeft<M>(parts: ShredParts<M>, day: Day): Promise<'destroyed'> {
  if (!(await parts.inventory.transitDays()).includes(day)) return 'destroyed';
  throw new PipelineError('VAULT_UNAVAILABLE', `the vault still lists the transit key of ${day}`);
}

async function dataKeysOf(session: Connection, day: Day): Promise<number> {
  const { rows } = await session.execute<{ count: string }>(countDataKeys(day));
  return Number(rows[0]?.count ?? 0);
}

function archiveProof(copy: ClearedCopy): NonNullable<DayProof['archive']> {
  return {
    rows: copy.manifest.objects.rows.rows,
    tokens: 0,
    manifestSha256: copy.manifestSha256.toString('hex'),
  };
}

function describe(
  day: Day,
  today: Day,
  order: NonNullable<Found['order']>,
  run: { already: boolean } & Partial<ShreddedDay>,
): ShreddedDay {
  return {
    scope: 'day',
    day,
    order: order.id,
    ticket: order.ticket,
    orderedAt: order.ordered_at,
    finishedAt: order.finished_at ?? '',
    privateKeysDestroyed: 0,
    rowsCleared: 0,
    archivedTokensCleared: 0,
    ...run,
    proof: order.proof,
    bodiesReadableUntil: today <= lastHorizonDay(day) ? lastHorizonDay(day) : null,
  };
}
