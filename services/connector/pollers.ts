/** So that one polls while the other hands over what it got. */
const always = 2;
/** Of an answer that is full: above, there may be more than is taken (SQS gives "up to" ten, also of a backlog); below, fewer take as much. */
const [moreAbove, fewerBelow] = [0.3, 0.15];
/** Of the latest answers: where so many are empty, the others are enough. A queue with a backlog gives hardly any. */
const emptyAbove = 0.2;
/** Of the latest answer in the mean: it remembers about eight. */
const weight = 1 / 8;

/**
 * How many of the receivers poll: all at first, then **as many as get answers that are a sixth to a third full, hardly one of them empty**, and two
 * always. Of a quiet queue more would share each handful of messages, an answer, a poll and a request to Kafka for every one of them; and SQS charges
 * for a poll that brings nothing.
 */
export class Pollers {
  readonly #least: number;
  readonly #most: number;
  readonly #parked = new Map<number, () => void>();
  #wanted: number;
  #fill = moreAbove;
  #empty = 0;

  constructor(receivers: number) {
    this.#least = Math.min(always, receivers);
    this.#most = receivers;
    this.#wanted = receivers;
  }

  /** How many should poll now. */
  get polling(): number {
    return this.#wanted;
  }

  /** Whether receiver `index` (of 0 … receivers − 1) should poll now. */
  wants(index: number): boolean {
    return index < this.#wanted;
  }

  /** An answer had so many messages of those asked for. */
  received(messages: number, asked: number): void {
    this.#fill += weight * (messages / asked - this.#fill);
    this.#empty += weight * ((messages === 0 ? 1 : 0) - this.#empty);
    const tooMany = this.#fill < fewerBelow || this.#empty > emptyAbove;
    if (tooMany && this.#wanted > this.#least) {
      this.#wanted -= 1;
    } else if (!tooMany && this.#fill > moreAbove && this.#wanted < this.#most) {
      this.#wanted += 1;
      this.#parked.get(this.#wanted - 1)?.();
    }
  }

  /** Resolves when receiver `index` may be wanted, or `stop` aborts. */
  async park(index: number, stop: AbortSignal): Promise<void> {
    if (stop.aborted || this.wants(index)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#parked.set(index, resolve);
    const wake = () => resolve();
    stop.addEventListener('abort', wake, { once: true });
    await promise;
    stop.removeEventListener('abort', wake);
    this.#parked.delete(index);
  }
}
