import type { Budget } from './budget.ts';
import { batchLimit } from './held.ts';

/** SQS's limit for a message, attributes included (Developer Guide, "Message quotas"). A receive has no limit of its own. */
const maxMessageBytes = 1_048_576;
/**
 * What a held message takes beside its value, rounded up: receipt handle (400 characters on AWS), record, key, nonce, headers,
 * a place in three collections.
 */
export const overheadBytes = 2_048;
/** While it is read, an answer is there as bytes and as text. */
const readingFactor = 2;
/** Ten bodies of ordinary size are far below it; of the largest, two a poll. */
const wantedAnswerBytes = 2 * maxMessageBytes;
/** Far above what publishing takes, and far below a visibility timeout: an answer that waits longer is not read at all. */
const waitLimitMs = 10_000;

/**
 * How large messages are of late, to ask for as many as make an answer of 2 MiB. Large ones count at once, small ones
 * little by little: at the beginning it takes four answers until ten are asked for.
 */
export class RecentSizes {
  /** Until known, for a first answer of two. */
  #meanBytes = maxMessageBytes;

  /** Of the next answer. */
  get max(): number {
    const fitting = Math.floor(wantedAnswerBytes / Math.max(1, this.#meanBytes));
    return Math.min(batchLimit, Math.max(1, fitting));
  }

  received(messages: number, bytes: number): void {
    const mean = bytes / messages;
    this.#meanBytes = mean > this.#meanBytes ? mean : (this.#meanBytes + mean) / 2;
  }
}

/**
 * What one poll takes of the budget, until every message of it has its own share. **Bytes are taken when an answer has come and before
 * it is read; who waits for them holds none**, so that receivers never wait for one another.
 */
export class Admission {
  readonly max: number;
  readonly #budget: Budget;
  #bytes = 0;
  /** Of the answer that waits. */
  #patience: AbortController | undefined;

  private constructor(budget: Budget, max: number) {
    this.#budget = budget;
    this.max = max;
  }

  /** Once there is room for an ordinary answer; undefined when `stop` aborted first. */
  static async begin(budget: Budget, sizes: RecentSizes, stop: AbortSignal): Promise<Admission | undefined> {
    const { max } = sizes;
    // Looked for and given back: a poll may bring nothing for twenty seconds.
    const bytes = Math.min(budget.limit.bytes, wantedAnswerBytes);
    if (!(await budget.reserve({ messages: max, bytes }, stop))) return undefined;
    budget.release({ messages: 0, bytes });
    return new Admission(budget, max);
  }

  /** Waits until an answer of so many bytes may be read; one that waited before it waits no more. An answer beyond the whole budget is read when nothing else is held. */
  admit(answerBytes: number | undefined, signal: AbortSignal): boolean | Promise<boolean> {
    this.#giveBack();
    const wanted = readingFactor * (answerBytes ?? this.max * maxMessageBytes) + this.max * overheadBytes;
    const bytes = Math.min(this.#budget.limit.bytes, wanted);
    if (!this.#budget.tryReserve({ messages: 0, bytes }, { first: true })) {
      return this.#admitWhenThereIsRoom(bytes, signal);
    }
    this.#bytes = bytes;
    return true;
  }

  async #admitWhenThereIsRoom(bytes: number, signal: AbortSignal): Promise<boolean> {
    const patience = new AbortController();
    this.#patience = patience;
    const timer = setTimeout(() => patience.abort(), waitLimitMs);
    const either = AbortSignal.any([signal, patience.signal]);
    const admitted = await this.#budget.reserve({ messages: 0, bytes }, either, { first: true });
    clearTimeout(timer);
    if (this.#patience !== patience) {
      if (admitted) this.#budget.release({ messages: 0, bytes });
      return false;
    }
    this.#patience = undefined;
    if (admitted) this.#bytes = bytes;
    return admitted;
  }

  /** Gives back what is not taken by these messages, each with the bytes that it counts from now on. */
  settle(messages: number, bytes: number): void {
    this.#giveUpWaiting();
    this.#budget.release({ messages: this.max - messages, bytes: this.#bytes - bytes });
    this.#bytes = 0;
  }

  #giveBack(): void {
    this.#giveUpWaiting();
    this.#budget.release({ messages: 0, bytes: this.#bytes });
    this.#bytes = 0;
  }

  /** The answer that waited is no more: its connection broke. */
  #giveUpWaiting(): void {
    const patience = this.#patience;
    this.#patience = undefined;
    patience?.abort();
  }
}
