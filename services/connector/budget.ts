/** An amount of what the connector holds. */
export interface Share {
  readonly messages: number;
  readonly bytes: number;
}

interface Waiter {
  readonly share: Share;
  readonly first: boolean;
  readonly settle: (granted: boolean) => void;
}

/**
 * What the connector may hold at once, in messages and in bytes. A receiver reserves before it reads and
 * returns what it did not use, so **the sum of what is reserved and held never exceeds the limits**, and a full budget
 * stops polling instead of filling memory. Waiters are served in order: a large request is not starved by small ones. Those that wait
 * `first` come before the others, which may be waiting for what they hold.
 */
export class Budget {
  readonly limit: Share;
  #messages = 0;
  #bytes = 0;
  readonly #waiters: Waiter[] = [];

  constructor(limit: Share) {
    this.limit = limit;
  }

  get used(): Share {
    return { messages: this.#messages, bytes: this.#bytes };
  }

  /** Resolves true when `share` is reserved, false when `signal` aborted first. `share` must fit the limit. */
  async reserve(share: Share, signal: AbortSignal, { first = false } = {}): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.tryReserve(share, { first })) return true;
    const place = this.#placeOf(first);
    return new Promise((resolve) => {
      const onAbort = () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        resolve(false);
        // The one that gave up may have been all that held the next one back.
        this.#serve();
      };
      const waiter: Waiter = {
        share,
        first,
        settle: (granted) => {
          signal.removeEventListener('abort', onAbort);
          resolve(granted);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.splice(place, 0, waiter);
    });
  }

  /** Whether `share` is reserved: there is room, and nobody waits before it. */
  tryReserve(share: Share, { first = false } = {}): boolean {
    if (this.#placeOf(first) > 0 || !this.#fits(share)) return false;
    this.#take(share);
    return true;
  }

  /**
   * Gives back. A server that breaks its own limits (a message over 1 MiB) makes a share negative: it is taken
   * all the same, for the message is here already, and holds up the next reservations.
   */
  release(share: Share): void {
    this.#messages -= share.messages;
    this.#bytes -= share.bytes;
    this.#serve();
  }

  #serve(): void {
    for (let first = this.#waiters[0]; first !== undefined && this.#fits(first.share);) {
      this.#waiters.shift();
      this.#take(first.share);
      first.settle(true);
      first = this.#waiters[0];
    }
  }

  /** Among those that wait. */
  #placeOf(first: boolean): number {
    const behind = first ? this.#waiters.findIndex((waiter) => !waiter.first) : -1;
    return behind === -1 ? this.#waiters.length : behind;
  }

  #fits(share: Share): boolean {
    return (
      this.#messages + share.messages <= this.limit.messages && this.#bytes + share.bytes <= this.limit.bytes
    );
  }

  #take(share: Share): void {
    this.#messages += share.messages;
    this.#bytes += share.bytes;
  }
}
