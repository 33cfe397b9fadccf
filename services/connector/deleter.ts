import { PipelineError } from '../../shared/errors.ts';
import { backoffMs, sleep } from '../../shared/lifecycle.ts';
import type { Queue } from '../../shared/sqs/ports.ts';
import { batchLimit, type Held } from './held.ts';
import type { Outage } from '../../shared/outage.ts';

/**
 * At 200 messages a second a batch is full by then, and a call costs the same whatever is in it. Nobody waits for a delete, but the next messages
 * of a FIFO group.
 */
const lingerMs = { standard: 50, fifo: 5 };
/** At a round trip of 10 ms to SQS, sixteen calls of ten delete 16,000 messages a second. */
const concurrency = 16;
const entryWaits = { baseMs: 50, capMs: 2_000 };

export interface DeleterOptions {
  readonly queue: Queue;
  readonly fifo: boolean;
  readonly outage: Outage;
  /** Aborts: give up at once. What is left comes again and changes nothing. */
  readonly force: AbortSignal;
  /** Deleted, or (`expired`) refused by SQS because the receipt is no longer valid. Never both, never twice. */
  readonly onDone: (items: readonly Held[], outcome: 'deleted' | 'expired') => void;
  /** A PipelineError of action `stop`: deleting will not work again. */
  readonly onFatal: (error: unknown) => void;
}

/**
 * Deletes published messages in tens, several calls at once. **Given to it means acknowledged by Kafka.** What the answer
 * lists as failed is tried again, unless SQS says that asking again cannot help; an outage is waited out.
 */
export class Deleter {
  readonly #options: DeleterOptions;
  readonly #waiting: Held[] = [];
  #inFlight = 0;
  #timer: NodeJS.Timeout | undefined;
  #closing = false;
  readonly #idle: (() => void)[] = [];

  constructor(options: DeleterOptions) {
    this.#options = options;
  }

  add(items: readonly Held[]): void {
    for (const item of items) this.#waiting.push(item);
    this.#pump(this.#closing);
  }

  /** Resolves when everything added is deleted or given up; at once when `force` aborts. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#pump(true);
    const { force } = this.#options;
    await new Promise<void>((resolve) => {
      if (force.aborted || this.#isIdle()) return resolve();
      this.#idle.push(resolve);
      force.addEventListener('abort', () => resolve(), { once: true });
    });
    clearTimeout(this.#timer);
  }

  #pump(partial: boolean): void {
    while (this.#inFlight < concurrency && this.#waiting.length >= (partial ? 1 : batchLimit)) {
      const batch = this.#waiting.splice(0, batchLimit);
      this.#inFlight++;
      void this.#delete(batch).finally(() => {
        this.#inFlight--;
        this.#pump(this.#closing);
        if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve();
      });
    }
    if (this.#waiting.length === 0 || this.#timer !== undefined || this.#inFlight >= concurrency) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#pump(true);
      },
      this.#options.fifo ? lingerMs.fifo : lingerMs.standard,
    );
  }

  async #delete(batch: readonly Held[]): Promise<void> {
    const { queue, outage, force, onDone, onFatal } = this.#options;
    let left = batch;
    try {
      for (let tries = 0; left.length > 0; tries++) {
        const handles = left.map((item) => item.receiptHandle);
        const failed = await outage.waitOut(() => queue.delete(handles), force);
        const failures = new Map(failed.map((entry) => [entry.receiptHandle, entry]));
        onDone(
          left.filter((item) => !failures.has(item.receiptHandle)),
          'deleted',
        );
        onDone(
          left.filter((item) => failures.get(item.receiptHandle)?.senderFault === true),
          'expired',
        );
        left = left.filter((item) => failures.get(item.receiptHandle)?.senderFault === false);
        if (force.aborted) return;
        if (left.length > 0) await sleep(backoffMs(tries, entryWaits), force);
      }
    } catch (error) {
      const outageAtForce = error instanceof PipelineError && error.action === 'retry';
      if (!outageAtForce) onFatal(error);
    }
  }

  #isIdle(): boolean {
    return this.#inFlight === 0 && this.#waiting.length === 0;
  }
}
