import type { Pace } from '../../shared/pace.ts';
import type {
  FailedEntry,
  Queue,
  QueueAttributes,
  QueueMessage,
  ReceiveOptions,
} from '../../shared/sqs/ports.ts';
import { tens } from './held.ts';

/** Asks every server of SQS, where a shorter poll asks a few and may miss what is there. */
const waitSeconds = 2;
/** Receives in a row that brought nothing new: the queue holds no more, or what it holds was seen before. */
const looks = 3;

export interface DrainOptions {
  readonly queue: Queue;
  /** Which messages to take; the others stay. */
  readonly wanted: (message: QueueMessage) => boolean;
  /** Messages at most. */
  readonly limit: number;
  readonly pace: Pace;
}

/**
 * A queue that ends: hands over each message that is wanted until there is nothing new, and says so by {@link Drain.over}. Messages come
 * again while we look, those that are not wanted and those that could not be published; **each is counted once**, and what comes again
 * does not keep us looking. For one receiver.
 */
export class Drain implements Queue {
  readonly #options: DrainOptions;
  readonly #over = new AbortController();
  readonly #seen = new Set<string>();
  /** Receipts of messages that are not wanted: the latest of each. */
  readonly #others = new Map<string, string>();
  #left: number;
  #nothingNew = 0;

  constructor(options: DrainOptions) {
    this.#options = options;
    this.#left = options.limit;
  }

  /** Aborts when there is no more to hand over. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  async receive({ max, signal, admit }: Omit<ReceiveOptions, 'waitSeconds'>): Promise<QueueMessage[]> {
    // Not with the last messages, but when the receiver has dealt with them and comes for more.
    if (this.#left <= 0 || this.#nothingNew >= looks) this.#over.abort();
    if (this.#over.signal.aborted) return [];
    const { queue, pace, wanted } = this.#options;
    const share = Math.min(max, pace.share, this.#left);
    const messages = await queue.receive({ max: share, waitSeconds, signal, admit });
    const fresh = messages.filter(({ messageId }) => !this.#seen.has(messageId));
    this.#nothingNew = fresh.length === 0 ? this.#nothingNew + 1 : 0;
    for (const { messageId } of fresh) this.#seen.add(messageId);
    const taken = messages.filter((message) => wanted(message));
    for (const message of messages) {
      if (!taken.includes(message)) this.#others.set(message.messageId, message.receiptHandle);
    }
    this.#left -= fresh.filter((message) => taken.includes(message)).length;
    await pace.take(taken.length, signal);
    return taken;
  }

  delete(receiptHandles: readonly string[]): Promise<FailedEntry[]> {
    return this.#options.queue.delete(receiptHandles);
  }

  changeVisibility(receiptHandles: readonly string[], seconds: number): Promise<FailedEntry[]> {
    return this.#options.queue.changeVisibility(receiptHandles, seconds);
  }

  attributes(): Promise<QueueAttributes> {
    return this.#options.queue.attributes();
  }

  /** Makes visible again what was not wanted. @throws PipelineError of SQS: then it becomes visible by itself. */
  async handBackOthers(): Promise<void> {
    for (const receipts of tens([...this.#others.values()])) {
      await this.#options.queue.changeVisibility(receipts, 0);
    }
  }
}
