import { tokenPrefix } from '../../shared/crypto/token.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { clearDayTokens } from '../clear-tokens.ts';
import type { PinnedConnection, Session } from '../client.ts';
import { lockKeys, withCustodyLock, withLock } from '../locks.ts';
import { partitionName } from '../partition-name.ts';
import { carryRows, countMissing, oldestTransaction } from '../queries/carry-rows.ts';
import { compareShapes } from '../queries/compare-shapes.ts';
import { listColumns } from '../queries/copy-day.ts';
import { countTokens } from '../queries/count-tokens.ts';
import { addDayCheck, hasDayCheck } from '../queries/day-check.ts';
import { eraseUsers } from '../queries/erase-users.ts';
import { findArchive } from '../queries/find-archive.ts';
import { findShred } from '../queries/find-shred.ts';
import { listAsideTables } from '../queries/list-aside-tables.ts';
import { listErasures } from '../queries/list-erasures.ts';
import { listTokenEpochs } from '../queries/list-token-epochs.ts';
import { partitionPlace } from '../queries/partition-place.ts';
import { vacuumPartition } from '../queries/vacuum-partition.ts';
import { exchange, type ExchangeLimits } from './exchange.ts';
import { findShadow, type Shadow, type ShadowDay } from './find-shadow.ts';
import { beforeTable } from './names.ts';

export type Direction = 'swap' | 'unswap';

export interface SwapOptions extends ExchangeLimits {
  /** Rows that the replay should have brought and has not are carried over too, as they are, and no reason to refuse. */
  readonly carryMissing: boolean;
}

export interface SwappedDay {
  readonly day: Day;
  readonly place: 'swapped' | 'unswapped';
  /** It had been done before. */
  readonly already: boolean;
  /** Rows that were live, were not in the other table, and were carried over. */
  readonly carried: number;
  /** Rows with a token of another epoch than the current: "sluice tokens retoken" gives them one. */
  readonly staleTokens: number;
  readonly attempts: number;
  /** How long readers of the table were locked out. */
  readonly heldMs: number;
}

/**
 * Puts the shadow of a day in its place, or the other way round what it had replaced; what was live becomes a table of its own, for the way
 * back. Cut off anywhere it has happened or it has not: run it again. Before the two change places, without a lock that readers or writers mind:
 *
 * - users who were forgotten since are forgotten in it, and the tokens of a shredded day cleared, before anybody can see them;
 * - **rows that are live and missing in it are carried over as they are**, those that come meanwhile too (see {@link exchange}). Of a shadow, only
 *   rows that came after its replay was planned; one that the replay should have brought means that it is not done, and is refused. On the way
 *   back, what was written since the swap;
 * - it is vacuumed and analysed, so that queries are planned as well as before.
 *
 * The caller holds the swap lock; this one takes the custody lock and that of the tokens for the day.
 *
 * @throws PipelineError SHADOW_MISSING, SHADOW_CONFLICT, DAY_ARCHIVED, BACKFILL_OPEN (another job's swap of that day is open), CUSTODY_BUSY,
 * DATABASE_UNAVAILABLE
 */
export function swapDay<M>(
  connection: PinnedConnection,
  stream: Stream<M>,
  request: { readonly job: string; readonly day: Day; readonly direction: Direction },
  options: SwapOptions,
): Promise<SwappedDay> {
  return withCustodyLock(connection, () =>
    withLock(connection, lockKeys.tokens, async () => {
      const shadow = await findShadow(connection, stream.name, request.job);
      const found = shadow.days.find(({ day }) => day === request.day);
      if (found === undefined) {
        throw new PipelineError('SHADOW_MISSING', `job ${request.job} has no table of ${request.day}`);
      }
      const isSwapped = found.place === 'swapped';
      if (isSwapped === (request.direction === 'swap')) return nothingToDo(found);
      return changeDay(connection, stream, shadow, found, options);
    }),
  );
}

function nothingToDo({ day, place }: ShadowDay): SwappedDay {
  const now = place === 'swapped' ? 'swapped' : 'unswapped';
  return { day, place: now, already: true, carried: 0, staleTokens: 0, attempts: 0, heldMs: 0 };
}

async function changeDay<M>(
  connection: PinnedConnection,
  stream: Stream<M>,
  shadow: Shadow,
  { day, place, aside: incoming, reach, swap }: ShadowDay,
  options: SwapOptions,
): Promise<SwappedDay> {
  const table = stream.name;
  const live = partitionName(table, day);
  const back = place === 'swapped';
  await checkPlace(connection, table, live, day);
  if (!back) await checkNoneOpen(connection, table, day);
  await checkShape(connection, table, incoming);
  const columns = (await connection.execute(listColumns(table))).rows.map(({ name }) => name);
  const staleTokens = await prepare(connection, stream, incoming, day, back);
  const { rows: running } = await connection.execute(oldestTransaction());
  const newerThan = running[0]?.xid ?? '0';
  const wanted = back
    ? { newerThan: swap?.newer_than ?? '0' }
    : options.carryMissing
      ? 'all'
      : { since: shadow.plannedAt };
  const { rowCount: carried } = await connection.execute(carryRows(live, incoming, columns, wanted));
  if (wanted !== 'all' && 'since' in wanted)
    await checkComplete(connection, live, incoming, day, wanted.since);
  await connection.execute(vacuumPartition(incoming));
  const state = back ? 'unswapped' : 'swapped';
  const done = await exchange(
    connection,
    {
      table,
      job: shadow.job,
      day,
      live,
      incoming,
      shadow: reach === incoming ? undefined : reach,
      aside: back ? partitionName(shadow.name, day) : beforeTable(table, shadow.job, day),
      columns,
      newerThan,
      state,
      carried,
    },
    options,
  );
  return {
    day,
    place: state,
    already: false,
    carried: done.carried,
    staleTokens,
    attempts: done.attempts,
    heldMs: done.heldMs,
  };
}

/** The day must be in its table, whole, and not on its way into an archive or out of one. */
async function checkPlace(session: Session, table: string, live: string, day: Day): Promise<void> {
  const { rows: archives } = await session.execute(findArchive(table, day));
  const state = archives[0]?.state ?? 'restored';
  if (state !== 'restored') throw new PipelineError('DAY_ARCHIVED', `${day} (${state})`);
  const { rows } = await session.execute(partitionPlace(table, live));
  if (rows[0]?.place === 'attached') return;
  throw new PipelineError('SHADOW_CONFLICT', `${live} is ${rows[0]?.place ?? 'none'}`);
}

/** Ways back lead one behind the other: that of one job would end with the rows of another. */
async function checkNoneOpen(session: Session, table: string, day: Day): Promise<void> {
  const { rows } = await session.execute(listAsideTables(table, day));
  const open = rows.find(({ name }) => name.startsWith(`${table}_before_`));
  if (open !== undefined) throw new PipelineError('BACKFILL_OPEN', `${open.name} is there`);
}

async function checkShape(session: Session, table: string, incoming: string): Promise<void> {
  const { rows } = await session.execute(compareShapes(table, incoming));
  const differences = rows
    .map(({ difference }) => difference)
    // The day as a constraint, which the one that comes in has, and the live one needs not.
    .filter((difference) => !difference.startsWith('constraint CHECK (((create_date IS NOT NULL)'));
  if (differences.length === 0) return;
  throw new PipelineError(
    'SHADOW_CONFLICT',
    `${table} has changed since ${incoming} was made: ${differences.slice(0, 5).join('; ')}`,
  );
}

/** What has been decided since it was filled applies to it before anybody can see it. Returns how many rows have tokens of before. */
async function prepare<M>(
  connection: PinnedConnection,
  stream: Stream<M>,
  incoming: string,
  day: Day,
  back: boolean,
): Promise<number> {
  const { rows: check } = await connection.execute(hasDayCheck(incoming));
  if (check[0]?.there !== true) await connection.execute(addDayCheck(incoming, day));
  const { rows: erasures } = await connection.execute(listErasures());
  if (erasures.length > 0) {
    const orders = erasures.map(({ id }) => id);
    await connection.execute(eraseUsers(stream, day, orders, incoming));
  }
  const { rows: shreds } = await connection.execute(findShred(day));
  if (shreds.length > 0) await clearDayTokens(connection, stream, day, undefined, incoming);
  const { rows: epochs } = await connection.execute(listTokenEpochs());
  const current = epochs.find(({ state }) => state === 'current')?.epoch ?? 0;
  const { rows: counted } = await connection.execute(
    countTokens(stream, day, tokenPrefix(current), incoming),
  );
  const stale = Number(counted[0]?.stale ?? 0);
  // In a window joins are by tokens of the epoch before, which these are; and the way back is always open.
  if (stale === 0 || back || epochs.some(({ state }) => state === 'prior')) return stale;
  throw new PipelineError(
    'SHADOW_CONFLICT',
    `${stale} rows of ${incoming} have tokens of an epoch that is over: replay the day anew`,
  );
}

/** Whatever the replay was to bring it has brought. */
async function checkComplete(
  session: Session,
  live: string,
  incoming: string,
  day: Day,
  plannedAt: Date,
): Promise<void> {
  const { rows } = await session.execute(countMissing(live, incoming, plannedAt));
  const missing = Number(rows[0]?.missing ?? 0);
  if (missing === 0) return;
  throw new PipelineError(
    'SHADOW_CONFLICT',
    `${missing} rows of ${day} are live and not in its shadow: finish the replay, or carry them over as they are (--carry-missing)`,
  );
}
