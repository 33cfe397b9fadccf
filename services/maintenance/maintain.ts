import type { Database, Session } from '../../db/client.ts';
import { lockKeys, withLock } from '../../db/locks.ts';
import { compactLedger } from '../../db/queries/compact-ledger.ts';
import { dayOf, horizonDays, type Clock, type Day } from '../../shared/time.ts';
import type { KeyKeeper } from '../../shared/vault/ports.ts';
import { ensureKeys } from './ensure-keys.ts';
import { ensurePartitions } from './ensure-partitions.ts';

export interface MaintenanceReport {
  /** The horizon that is ready now, both ends included. */
  readonly from: Day;
  readonly to: Day;
  /** What this run made: nothing, when another had. */
  readonly partitions: readonly string[];
  readonly dayKeys: readonly Day[];
  /** Ledger entries that were merged, and into how many. */
  readonly ledger: { readonly entries: number; readonly remain: number };
}

/** The ledger keeps single batches this long: as long as somebody may want to look at one. */
const compactAfterHours = 24;
/** Entries merged by one statement: a second or so, and little memory. */
const compactAtOnce = 100_000;

/**
 * Makes partitions and keys for every day from D−14 to D+7, under an advisory lock: any number of times, by several at once.
 * Partitions come first: a day whose key is published can be written to. The ledger is compacted.
 *
 * @throws PipelineError of the database or the vault; what was done stays done, and the next run goes on from there.
 */
export async function maintainDays(options: {
  readonly database: Database;
  readonly keeper: KeyKeeper;
  /** Tables partitioned by day. */
  readonly tables: readonly string[];
  readonly clock: Clock;
}): Promise<MaintenanceReport> {
  return options.database.withSession((connection) =>
    withLock(connection, lockKeys.maintain, async () => {
      const today = dayOf(options.clock());
      const days = horizonDays(today);
      const partitions: string[] = [];
      for (const table of options.tables)
        partitions.push(...(await ensurePartitions(connection, table, days)));
      const dayKeys = await ensureKeys(connection, options.keeper, days);
      const ledger = await compact(connection);
      return { from: days[0] ?? today, to: days.at(-1) ?? today, partitions, dayKeys, ledger };
    }),
  );
}

async function compact(session: Session): Promise<MaintenanceReport['ledger']> {
  const total = { entries: 0, remain: 0 };
  for (;;) {
    const { rows } = await session.execute<{ entries: string; remain: string }>(
      compactLedger(compactAfterHours, compactAtOnce),
    );
    const entries = Number(rows[0]?.entries ?? 0);
    total.entries += entries;
    total.remain += Number(rows[0]?.remain ?? 0);
    if (entries < compactAtOnce) return total;
  }
}
