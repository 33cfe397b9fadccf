import { sleep } from './lifecycle.ts';

/**
 * So many a second and no more, evenly: whoever was held up elsewhere does not catch up in a burst.
 */
export class Pace {
  readonly #perSecond: number;
  readonly #now: () => number;
  readonly #sleep: typeof sleep;
  /** When the next may go. */
  #next = -Infinity;

  /** @param perSecond Infinity: no limit */
  constructor(perSecond: number, clock: { now?: () => number; sleep?: typeof sleep } = {}) {
    this.#perSecond = perSecond;
    this.#now = clock.now ?? (() => performance.now());
    this.#sleep = clock.sleep ?? sleep;
  }

  /** As many as are worth taking at once: a tenth of a second's. */
  get share(): number {
    return this.#perSecond === Infinity
      ? 1_000
      : Math.min(1_000, Math.max(1, Math.floor(this.#perSecond / 10)));
  }

  /** Waits until `count` more may go, or `signal` aborts. */
  async take(count: number, signal?: AbortSignal): Promise<void> {
    if (this.#perSecond === Infinity) return;
    const now = this.#now();
    const at = Math.max(this.#next, now);
    this.#next = at + (count / this.#perSecond) * 1_000;
    if (at > now) await this.#sleep(at - now, signal);
  }
}
