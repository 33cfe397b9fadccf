import { sleep } from '../../shared/lifecycle.ts';

export interface GovernorLimits {
  /** Records a second at most. Infinity: no limit. */
  readonly perSecond: number;
  /** Records that the live writers may be behind. Undefined: not looked at. */
  readonly maxLiveLag: number | undefined;
  /** Milliseconds that a small commit may take. Undefined: not looked at. */
  readonly maxLatencyMs: number | undefined;
}

/** What slows a replay down. */
export type HeldBy = 'live lag' | 'latency';

/**
 * It begins slowly, grows while all is well, and gives way at once: the live pipeline must not notice that it is there. Nor does it where a core is all that is
 * left: at 80,000 records a second on two cores the slowest live rows took 2.5 times as long, at 40,000 1.6 times. Whoever is alone takes the limits away.
 */
const pace = { start: 2_000, least: 100, most: 40_000, growth: 1.1, cut: 0.5 } as const;
/** A cut shows after a while; another before that would be for the same reason. */
const cutEveryMs = 1_000;
/**
 * A hundredth of a second's worth of records at once, so that they come evenly: Postgres inserts a batch in one go, and a live row that comes meanwhile waits
 * for a core. Without limits a batch of the writer's.
 */
const share = { seconds: 0.01, least: 50, most: 500, mostWithoutLimits: 5_000 } as const;

/**
 * How fast a replay may go: as fast as it is allowed to, and less while the live pipeline is behind or Postgres slow, by additive and
 * multiplicative steps as TCP's congestion control has them. **Far behind** (twice the limit) **it stops until that is over.** Without limits it does nothing.
 */
export class Governor {
  readonly #limits: GovernorLimits;
  readonly #now: () => number;
  readonly #sleep: typeof sleep;
  #perSecond: number;
  #held: HeldBy | undefined;
  #stopped = false;
  #lag = 0;
  #cutAt = -Infinity;
  /** When the next record may go. */
  #next = -Infinity;

  constructor(limits: GovernorLimits, clock: { now?: () => number; sleep?: typeof sleep } = {}) {
    this.#limits = limits;
    this.#now = clock.now ?? (() => performance.now());
    this.#sleep = clock.sleep ?? sleep;
    this.#perSecond = this.#adapts ? Math.min(limits.perSecond, pace.start) : limits.perSecond;
  }

  /** Records a second at the moment; Infinity: no limit. */
  get perSecond(): number {
    return this.#stopped ? 0 : this.#perSecond;
  }

  get heldBy(): HeldBy | undefined {
    return this.#held;
  }

  /** Records that are worth taking at once. */
  get batchRecords(): number {
    if (!this.#adapts && this.#perSecond === Infinity) return share.mostWithoutLimits;
    const records = Math.ceil(this.#perSecond * share.seconds);
    return Math.max(share.least, Math.min(share.most, records));
  }

  /** The live writers are so many records behind. */
  lagSeen(records: number): void {
    this.#lag = records;
    const { maxLiveLag } = this.#limits;
    if (maxLiveLag === undefined) return;
    this.#stopped = records > (this.#stopped ? maxLiveLag : 2 * maxLiveLag);
    if (records > maxLiveLag) this.#cut('live lag');
  }

  /** A small commit took so long. Told about twice a second: while all is well, each time the pace grows. */
  latencySeen(ms: number): void {
    const { maxLatencyMs, maxLiveLag, perSecond } = this.#limits;
    if (!this.#adapts) return;
    if (maxLatencyMs !== undefined && ms > maxLatencyMs) return this.#cut('latency');
    if (maxLiveLag !== undefined && this.#lag > maxLiveLag) return;
    this.#held = undefined;
    this.#perSecond = Math.min(perSecond, pace.most, this.#perSecond * pace.growth);
  }

  /** Waits until `count` more records may go, or `signal` aborts. */
  async take(count: number, signal: AbortSignal): Promise<void> {
    while (this.#stopped && !signal.aborted) await this.#sleep(100, signal);
    if (this.#perSecond === Infinity) return;
    const now = this.#now();
    const at = Math.max(this.#next, now);
    this.#next = at + (count / this.#perSecond) * 1_000;
    if (at > now) await this.#sleep(at - now, signal);
  }

  get #adapts(): boolean {
    return this.#limits.maxLiveLag !== undefined || this.#limits.maxLatencyMs !== undefined;
  }

  #cut(why: HeldBy): void {
    this.#held = why;
    const now = this.#now();
    if (now - this.#cutAt < cutEveryMs) return;
    this.#cutAt = now;
    this.#perSecond = Math.max(pace.least, this.#perSecond * pace.cut);
  }
}
