import { clearDayTokens, tokensOf } from '../../db/clear-tokens.ts';
import type { Connection, PinnedConnection } from '../../db/client.ts';
import { partitionName } from '../../db/partition-name.ts';
import { withCustodyLock } from '../../db/locks.ts';
import { eraseUsers } from '../../db/queries/erase-users.ts';
import { listAsideTables, type AsideTable } from '../../db/queries/list-aside-tables.ts';
import { listPartitionDays } from '../../db/queries/list-partition-days.ts';
import { listUnfinishedShreds, type UnfinishedShred } from '../../db/queries/list-unfinished-shreds.ts';
import { listUnsweptShreds, type UnsweptShred } from '../../db/queries/list-unswept-shreds.ts';
import { markSwept } from '../../db/queries/mark-swept.ts';
import { vacuumPartition } from '../../db/queries/vacuum-partition.ts';
import { firstTransitDay, type TopicRetention } from '../../shared/kafka/retention.ts';
import { printable } from '../../shared/printable.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { dayOf, msPerDay, type Clock, type Day } from '../../shared/time.ts';

export interface SweepReport {
  /** Rows of shredded days that had got tokens since. */
  readonly tokensCleared: number;
  /** Rows of erased users that had come since. */
  readonly rowsErased: number;
  /** Partitions whose pages and planner samples were freed of what had been overwritten. */
  readonly vacuumed: readonly string[];
  /** Orders that `sluice shred` was cut off in: somebody must run it again. */
  readonly unfinished: readonly UnfinishedShred[];
}

/** A sweep reads partitions whole, and `maintain` may run every minute. */
const sweepEveryMs = 6 * 3_600_000;
/** A writer learns within a minute that a day was shredded; one that hangs has lost its group long before this. */
const sweepDaysForMs = 3 * msPerDay;

/**
 * Does again what shredding has done, to what has come since: tokens of shredded days, from writers that held a key of theirs; rows of erased
 * users, from what lay unread in the topics when they were erased. Each order at most every six hours, for as long as something can come
 * (see {@link firstTransitDay}), in partitions of days that the topics can still hold, and in the tables of backfills.
 *
 * After the first sweep of an order its partitions are vacuumed, for until then overwritten cells lie in their pages, and tokens in what the
 * planner keeps as samples. Give it a connection of the tables' owner, with a statement timeout for reading a partition whole.
 *
 * @throws PipelineError of the database; what was done stays done, and the next run goes on from there.
 */
export async function sweepShreds<M>(
  connection: PinnedConnection,
  options: { readonly stream: Stream<M>; readonly clock: Clock; readonly retention: TopicRetention },
): Promise<SweepReport> {
  const now = options.clock();
  const first = firstTransitDay(dayOf(now), options.retention);
  const orders = async () => {
    const { rows } = await connection.execute<UnsweptShred>(
      listUnsweptShreds({
        daysSince: new Date(now - sweepDaysForMs),
        usersSince: new Date(Date.parse(first)),
        sweptBefore: new Date(now - sweepEveryMs),
      }),
    );
    return rows;
  };
  const { rows: unfinished } = await connection.execute<UnfinishedShred>(listUnfinishedShreds());
  if ((await orders()).length === 0) return { tokensCleared: 0, rowsErased: 0, vacuumed: [], unfinished };
  return withCustodyLock(connection, async () => {
    const due = await orders();
    const table = options.stream.name;
    const { rows: partitions } = await connection.execute<{ day: Day }>(listPartitionDays(table));
    const { rows: asides } = await connection.execute<AsideTable>(listAsideTables(table));
    const live = partitions.map(({ day }): DayTable => ({
      day,
      name: partitionName(table, day),
      reach: table,
    }));
    const cleared = await clearDays(connection, options.stream, due, [...live, ...asides]);
    const erased = await erase(
      connection,
      options.stream,
      due,
      // What a replay reads may be older than what the topics hold.
      [...live.filter(({ day }) => day >= first), ...asides],
    );
    const overwritten = new Set([...cleared.tables, ...erased.tables]);
    const firstDays = new Set(due.flatMap(firstSweptDays));
    const vacuumed = [...live, ...asides]
      .filter(({ day, name }) => overwritten.has(name) || firstDays.has(day))
      .map(({ name }) => name)
      .sort();
    for (const partition of vacuumed) await connection.execute(vacuumPartition(partition));
    await connection.execute(
      markSwept(
        due.map(({ id }) => id),
        new Date(now),
      ),
    );
    return { tokensCleared: cleared.rows, rowsErased: erased.rows, vacuumed, unfinished };
  });
}

/** The table of a day, live or of a backfill, and what its rows are reached through. */
type DayTable = Pick<AsideTable, 'name' | 'reach' | 'day'>;

interface Swept {
  readonly rows: number;
  readonly tables: readonly string[];
}

async function clearDays<M>(
  connection: Connection,
  stream: Stream<M>,
  due: readonly UnsweptShred[],
  candidates: readonly DayTable[],
): Promise<Swept> {
  const shredded = new Set(due.map(({ day }) => day));
  let rows = 0;
  const tables: string[] = [];
  for (const { day, name, reach } of candidates) {
    if (!shredded.has(day)) continue;
    if ((await tokensOf(connection, stream, day, reach)).withTokens === 0) continue;
    rows += await clearDayTokens(connection, stream, day, undefined, reach);
    tables.push(name);
  }
  return { rows, tables };
}

async function erase<M>(
  connection: Connection,
  stream: Stream<M>,
  due: readonly UnsweptShred[],
  candidates: readonly DayTable[],
): Promise<Swept> {
  const orders = due.filter(({ scope }) => scope === 'user');
  let rows = 0;
  const tables: string[] = [];
  for (const { day, name, reach } of candidates) {
    const covering = orders.filter((order) => day <= order.ordered_on).map(({ id }) => id);
    if (covering.length === 0) continue;
    const { rowCount } = await connection.execute(eraseUsers(stream, day, covering, reach));
    rows += rowCount;
    if (rowCount > 0) tables.push(name);
  }
  return { rows, tables };
}

/** The days in which the order itself has overwritten rows, unless they have been vacuumed. */
function firstSweptDays(order: UnsweptShred): readonly Day[] {
  if (!order.first) return [];
  return order.day === null ? (order.erased_days ?? []) : [order.day];
}

/** Lines for a person: none when nothing was done and nothing is open. */
export function describeSweep(report: SweepReport): string[] {
  return [
    ...(report.tokensCleared > 0
      ? [`cleared the tokens of ${report.tokensCleared} rows of shredded days`]
      : []),
    ...(report.rowsErased > 0
      ? [`erased ${report.rowsErased} rows that came after their user was erased`]
      : []),
    ...report.vacuumed.map((partition) => `vacuumed ${partition}`),
    ...report.unfinished.map(
      ({ id, day, ticket }) =>
        `order ${id} to shred ${day ?? 'a user or an epoch'} is not finished (ticket ${printable(ticket)}): run "sluice shred" again`,
    ),
  ];
}
