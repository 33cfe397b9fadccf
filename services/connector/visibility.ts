import { PipelineError } from '../../shared/errors.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { Queue } from '../../shared/sqs/ports.ts';
import type { Clock } from '../../shared/time.ts';
import { tens, type Counts, type Held } from './held.ts';
import type { Outage } from '../../shared/outage.ts';

/**
 * How long an outage may keep messages from other connectors, which may see Kafka where this one does not. Short of that,
 * holding on is better: every return costs the message one of the receives that the queue's redrive policy allows it.
 */
export const holdLimitMs = 120_000;
/** Change-visibility calls under way at once. */
const concurrency = 8;

export interface VisibilityOptions {
  readonly queue: Queue;
  readonly timeoutSeconds: number;
  readonly clock: Clock;
  readonly counts: Counts;
  /** For extensions and hand-backs. */
  readonly outage: Outage;
  /** Is a server down that what we hold is waiting for? */
  readonly stalled: () => boolean;
}

/**
 * Keeps what the connector holds invisible to others: what has been held for a third of the queue's visibility timeout
 * is extended, again and again, until it is deleted. So a message has two more tries before it shows up elsewhere.
 * What an outage has held up for {@link holdLimitMs} is handed back instead.
 */
export class Visibility {
  readonly #options: VisibilityOptions;
  readonly #held = new Set<Held>();
  #timeoutSeconds: number;

  constructor(options: VisibilityOptions) {
    this.#options = options;
    this.#timeoutSeconds = options.timeoutSeconds;
  }

  get size(): number {
    return this.#held.size;
  }

  /** An operator may change it while we run. */
  set timeoutSeconds(seconds: number) {
    this.#timeoutSeconds = seconds;
  }

  add(item: Held): void {
    this.#held.add(item);
  }

  remove(item: Held): void {
    this.#held.delete(item);
  }

  /** Sweeps twelve times a timeout (at least every 5 s) until `signal` aborts. @throws PipelineError of action `stop` */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(Math.min(5_000, (this.#timeoutSeconds * 1000) / 12), signal);
      if (!signal.aborted) await this.sweep();
    }
  }

  /** One round. What fails is tried again in the next. @throws PipelineError of action `stop` */
  async sweep(): Promise<void> {
    const now = this.#options.clock();
    const stalled = this.#options.stalled();
    const extendIfBefore = now - (this.#timeoutSeconds * 1000) / 3;
    const overdue: Held[] = [];
    const aging: Held[] = [];
    for (const item of this.#held) {
      if (item.state === 'gone') continue;
      if (stalled && item.state === 'held' && now - item.receivedAtMs >= holdLimitMs) overdue.push(item);
      else if (item.invisibleSinceMs <= extendIfBefore) aging.push(item);
    }
    await this.#handBack(overdue);
    await this.#each(aging, (batch) => this.#extend(batch, now));
  }

  /** Hands back everything that has no acknowledgement. What cannot be handed back becomes visible by itself. */
  async handBackAll(): Promise<void> {
    await this.#handBack([...this.#held].filter((item) => item.state === 'held'));
  }

  /** Gone before the call: an acknowledgement that arrives meanwhile must not delete what others may now receive. */
  async #handBack(items: readonly Held[]): Promise<void> {
    for (const item of items) item.state = 'gone';
    await this.#each(items, async (batch) => {
      const handles = batch.map((item) => item.receiptHandle);
      const failed = await this.#options.queue.changeVisibility(handles, 0);
      this.#options.counts.returned += batch.length - failed.length;
      for (const item of batch) item.trace?.end('returned');
    });
  }

  async #extend(batch: readonly Held[], now: number): Promise<void> {
    const handles = batch.map((item) => item.receiptHandle);
    const failed = await this.#options.queue.changeVisibility(handles, this.#timeoutSeconds);
    const failures = new Map(failed.map((entry) => [entry.receiptHandle, entry]));
    for (const item of batch) {
      const failure = failures.get(item.receiptHandle);
      if (failure === undefined) {
        item.invisibleSinceMs = now;
      } else if (failure.senderFault && item.state === 'held' && this.#held.has(item)) {
        item.state = 'gone';
        item.trace?.end('expired');
        this.#options.counts.expired++;
      }
    }
  }

  /** In tens, a few at a time. An outage ends the round: the rest would only run into the same timeout. */
  async #each(items: readonly Held[], call: (batch: readonly Held[]) => Promise<void>): Promise<void> {
    const batches = tens(items);
    for (let i = 0; i < batches.length; i += concurrency) {
      const results = await Promise.allSettled(batches.slice(i, i + concurrency).map(call));
      const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
      const fatal = failures.find((error) => !(error instanceof PipelineError) || error.action !== 'retry');
      if (fatal !== undefined) throw fatal;
      const [outage] = failures;
      if (outage instanceof PipelineError) return this.#options.outage.failed(outage);
      this.#options.outage.succeeded();
    }
  }
}
