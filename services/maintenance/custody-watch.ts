import type { Session } from '../../db/client.ts';
import { countAccess } from '../../db/queries/count-access.ts';
import { custodyHorizon, type CustodyHorizon } from '../../db/queries/custody-horizon.ts';
import { ledgerCoverage } from '../../db/queries/ledger-coverage.ts';
import { listDaysToArchive } from '../../db/queries/list-days-to-archive.ts';
import type { Metrics } from '../../shared/telemetry/metrics.ts';
import { addDays, dayNumber, dayOf, type Clock } from '../../shared/time.ts';
import { LastingHoles } from './lasting-holes.ts';

/** Often enough for an alarm, and little beside a run. */
const lookEveryMs = 60_000;

export interface CustodyWatchOptions {
  readonly session: Session;
  readonly table: string;
  readonly topic: string;
  /** Undefined: days are not archived by themselves. */
  readonly archiveAfterDays: number | undefined;
  readonly clock: Clock;
}

/**
 * What the database says of custody, as metrics: horizons, archives, backups, recoveries and the ledger. Read every minute, the ledger after
 * each run, for that takes longer, and every minute while it has holes. **Horizons shrink by the clock even while the database cannot be read**; the rest stays as it was last
 * seen.
 */
export class CustodyWatch implements Disposable {
  readonly #options: CustodyWatchOptions;
  readonly #metrics: Metrics;
  readonly #timer: NodeJS.Timeout | undefined;
  #horizon: (CustodyHorizon & { readonly asOfDay: number }) | undefined;
  #access: readonly { action: string; entries: number }[] = [];
  #overdueDays: number | undefined;
  readonly #holes = new LastingHoles();
  #gaps: number | undefined;
  #headSeenAtMs: number | undefined;
  #lastSuccessMs: number | undefined;
  #clockOffsetSeconds: number | undefined;

  constructor(metrics: Metrics, options: CustodyWatchOptions) {
    this.#metrics = metrics;
    this.#options = options;
    if (!metrics.wanted) return;
    this.#observe();
    this.#timer = setInterval(() => void this.#look().catch(() => undefined), lookEveryMs).unref();
    void this.#look().catch(() => undefined);
  }

  /** A run has ended. */
  async ran(run: {
    readonly outcome: 'ok' | 'incomplete' | 'failed';
    /** The head of the access log is in the archive. */
    readonly headKept: boolean;
  }): Promise<void> {
    if (!this.#metrics.wanted) return;
    this.#metrics.add('sluice.maintain.runs', 1, { outcome: run.outcome });
    const now = this.#options.clock();
    if (run.outcome === 'ok') this.#lastSuccessMs = now;
    if (run.headKept) this.#headSeenAtMs = now;
    // It tells of the run; that it cannot be told does not undo it.
    await Promise.allSettled([this.#look(), this.#countGaps()]);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { session, table, archiveAfterDays, clock } = this.#options;
    const today = dayOf(clock());
    const askedMs = clock();
    const [found] = (await session.execute(custodyHorizon(table, today))).rows;
    if (found !== undefined) {
      this.#horizon = { ...found, asOfDay: dayNumber(Date.parse(today)) };
      // It read its clock at some time while we waited.
      this.#clockOffsetSeconds = (askedMs + clock()) / 2_000 - found.now;
    }
    this.#access = (await session.execute(countAccess())).rows;
    if (this.#holes.any) await this.#countGaps();
    if (archiveAfterDays === undefined) return;
    const last = addDays(today, -archiveAfterDays - 1);
    this.#overdueDays = (await session.execute(listDaysToArchive(table, last))).rowCount;
  }

  async #countGaps(): Promise<void> {
    const { rows } = await this.#options.session.execute(ledgerCoverage(this.#options.topic));
    const wrong = rows.reduce((sum, row) => sum + Number(row.wrong), 0);
    this.#gaps = this.#holes.look(rows, this.#options.clock()) + wrong;
  }

  #observe(): void {
    const metrics = this.#metrics;
    const daysLeft = (days: number | undefined): number | undefined =>
      days === undefined || this.#horizon === undefined
        ? undefined
        : days - (dayNumber(this.#options.clock()) - this.#horizon.asOfDay);
    const gauge = (name: CustodyGauge, value: () => number | null | undefined) =>
      metrics.observe(name, (report) => {
        const now = value();
        if (typeof now === 'number') report(now);
      });
    gauge('sluice.horizon.partition.days', () => daysLeft(this.#horizon?.partition_days));
    gauge('sluice.horizon.key.days', () => daysLeft(this.#horizon?.key_days));
    gauge('sluice.shreds.unfinished', () => this.#horizon?.unfinished_shreds);
    gauge('sluice.archive.last.timestamp.seconds', () => this.#horizon?.last_archive);
    gauge('sluice.archive.overdue.days', () => this.#overdueDays);
    gauge('sluice.backup.last.timestamp.seconds', () => this.#horizon?.last_wal);
    gauge('sluice.clock.offset.seconds', () => this.#clockOffsetSeconds);
    gauge('sluice.ledger.gaps', () => this.#gaps);
    gauge('sluice.access_head.last.timestamp.seconds', () => seconds(this.#headSeenAtMs));
    gauge('sluice.maintain.last_success.timestamp.seconds', () => seconds(this.#lastSuccessMs));
    metrics.observe('sluice.backup.failures', (report) => {
      const failures = this.#horizon?.wal_failures;
      if (typeof failures === 'number') report(failures);
    });
    metrics.observe('sluice.day_keys', (report) => {
      if (this.#horizon === undefined) return;
      report(this.#horizon.live_keys, { state: 'live' });
      report(this.#horizon.destroyed_keys, { state: 'destroyed' });
    });
    metrics.observe('sluice.recoveries', (report) => {
      for (const { action, entries } of this.#access) report(entries, { action });
    });
  }
}

type CustodyGauge =
  | `sluice.horizon.${'partition' | 'key'}.days`
  | `sluice.${'archive' | 'backup' | 'access_head'}.last.timestamp.seconds`
  | 'sluice.shreds.unfinished'
  | 'sluice.archive.overdue.days'
  | 'sluice.ledger.gaps'
  | 'sluice.clock.offset.seconds'
  | 'sluice.maintain.last_success.timestamp.seconds';

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}
