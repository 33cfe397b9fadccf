import type { QueueAttributes } from '../../shared/sqs/ports.ts';
import type { Clock } from '../../shared/time.ts';

/** SQS tells nobody the age of its oldest message but CloudWatch; so it is what has come out lately. */
const windowMs = 60_000;

/**
 * How old the oldest message of the queue is, as far as one can see who receives from it: of those received in the last minute, the
 * one that was sent first. **While the queue has messages and none is received, it grows**; 0 once SQS counts none.
 */
export class OldestAge {
  readonly #clock: Clock;
  #sentAtMs: number | undefined;
  #ageMs = 0;
  #seenAtMs = 0;
  #empty = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Messages came, the oldest of them sent then. */
  received(oldestSentAtMs: number): void {
    const now = this.#clock();
    const ageMs = Math.max(0, now - oldestSentAtMs);
    this.#empty = false;
    if (this.#sentAtMs !== undefined && now - this.#seenAtMs < windowMs && ageMs < this.#ageMs) return;
    this.#sentAtMs = oldestSentAtMs;
    this.#ageMs = ageMs;
    this.#seenAtMs = now;
  }

  /** SQS has counted. */
  counted({ visible, inFlight, delayed }: QueueAttributes): void {
    this.#empty = visible + inFlight + delayed === 0;
  }

  /** Undefined before anything has been received. */
  get ageMs(): number | undefined {
    if (this.#empty) return 0;
    if (this.#sentAtMs === undefined) return undefined;
    const now = this.#clock();
    return now - this.#seenAtMs < windowMs ? this.#ageMs : Math.max(0, now - this.#sentAtMs);
  }
}
