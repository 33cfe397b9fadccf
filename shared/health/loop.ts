import { PipelineError } from '../errors.ts';

/**
 * Something that must turn. **Stuck: it is at work and nothing has happened for longer than its limit.** Waiting for work is no work;
 * waiting out an outage is, and every attempt touches it.
 */
export class Loop {
  readonly name: string;
  readonly limitMs: number;
  readonly #now: () => number;
  #last: number;
  #working = 0;

  /** @param now monotonic, milliseconds */
  constructor(name: string, limitMs: number, now: () => number = () => performance.now()) {
    this.name = name;
    this.limitMs = limitMs;
    this.#now = now;
    this.#last = now();
  }

  /** Something has happened. */
  touch(): void {
    this.#last = this.#now();
  }

  /** At work until `work` settles. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.touch();
    this.#working += 1;
    try {
      return await work();
    } finally {
      this.#working -= 1;
      this.touch();
    }
  }

  /** For a wait that tries again by itself: something happens for as long as it lasts. */
  async whileWaiting<T>(wait: Promise<T>): Promise<T> {
    const timer = setInterval(() => this.touch(), 1_000);
    try {
      return await wait;
    } finally {
      clearInterval(timer);
    }
  }

  get working(): boolean {
    return this.#working > 0;
  }

  /** Milliseconds since something happened. */
  get idleMs(): number {
    return Math.round(this.#now() - this.#last);
  }

  get stuck(): boolean {
    return this.working && this.idleMs > this.limitMs;
  }

  /** Whether at work or not. @throws PipelineError STALLED when nothing has happened for too long */
  assertAlive(): void {
    if (this.idleMs > this.limitMs) throw this.stalled();
  }

  stalled(): PipelineError {
    return new PipelineError(
      'STALLED',
      `${this.name} has stood still for ${Math.round(this.idleMs / 1000)} s`,
    );
  }
}
