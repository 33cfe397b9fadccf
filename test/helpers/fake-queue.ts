import { randomUUID } from 'node:crypto';
import { PipelineError, type ErrorCode } from '../../shared/errors.ts';
import type {
  FailedEntry,
  Queue,
  QueueAttributes,
  QueueMessage,
  ReceiveOptions,
} from '../../shared/sqs/ports.ts';
import type { Clock } from '../../shared/time.ts';

interface Stored {
  readonly messageId: string;
  readonly body: string;
  readonly sentAtMs: number;
  readonly groupId: string | undefined;
  readonly attributes: Readonly<Record<string, Buffer>>;
  receipt: string | undefined;
  visibleAtMs: number;
  receiveCount: number;
}

export interface FakeQueueOptions {
  clock: Clock;
  visibilityTimeoutSeconds?: number;
  fifo?: boolean;
}

type Call = 'receive' | 'delete' | 'changeVisibility' | 'attributes';

/**
 * {@link Queue} in memory: visibility timeouts by an injected clock, receipts that die when a message becomes visible
 * again, FIFO groups that are locked while one of theirs is out. Failures are set from outside.
 */
export class FakeQueue implements Queue {
  readonly #clock: Clock;
  readonly #fifo: boolean;
  readonly #timeoutSeconds: number;
  readonly #messages: Stored[] = [];
  readonly #wakers = new Set<() => void>();
  /** Every call that arrived, in order; receipts are those given to it. */
  readonly calls: { call: Call; receipts: readonly string[]; seconds?: number }[] = [];
  /** While set, calls of that kind fail with it. */
  readonly outages = new Map<Call, ErrorCode>();
  /** The next entries of a batch call that the answer lists as failed, by receipt; used up one by one. */
  readonly entryFailures = new Map<string, { code: string; senderFault: boolean }[]>();
  /** Runs before a delete takes effect: to look, from a test, at what had happened by then. */
  onDelete: (messageIds: readonly string[]) => void = () => {};
  /** Deleted MessageIds, in order. */
  readonly deleted: string[] = [];
  receivesUnderWay = 0;

  constructor(options: FakeQueueOptions) {
    this.#clock = options.clock;
    this.#fifo = options.fifo ?? false;
    this.#timeoutSeconds = options.visibilityTimeoutSeconds ?? 30;
  }

  send(
    body: string,
    options: {
      groupId?: string;
      attributes?: Record<string, Buffer>;
      sentAtMs?: number;
      messageId?: string;
    } = {},
  ): string {
    const messageId = options.messageId ?? randomUUID();
    this.#messages.push({
      messageId,
      body,
      sentAtMs: options.sentAtMs ?? this.#clock(),
      groupId: options.groupId,
      attributes: options.attributes ?? {},
      receipt: undefined,
      visibleAtMs: 0,
      receiveCount: 0,
    });
    this.wake();
    return messageId;
  }

  /** What a standard queue does now and then: one more delivery of a message that is out. */
  redeliver(messageId: string): void {
    const message = this.#messages.find((candidate) => candidate.messageId === messageId);
    if (message === undefined) throw new Error('not in the queue');
    message.visibleAtMs = 0;
    this.wake();
  }

  /** Long polls look again: a test calls it after moving the clock. */
  wake(): void {
    for (const waker of this.#wakers) waker();
  }

  get remaining(): number {
    return this.#messages.length;
  }

  get inFlight(): number {
    return this.#messages.filter((message) => message.visibleAtMs > this.#clock()).length;
  }

  async receive(options: ReceiveOptions): Promise<QueueMessage[]> {
    this.#arrive('receive', []);
    this.receivesUnderWay++;
    try {
      const until = this.#clock() + options.waitSeconds * 1000;
      for (;;) {
        if (options.signal.aborted) return [];
        const messages = this.#take(options.max);
        if (messages.length > 0 || this.#clock() >= until) {
          const bytes = messages.reduce((sum, { body }) => sum + Buffer.byteLength(body), 2);
          return options.admit === undefined || (await options.admit(bytes)) ? messages : [];
        }
        await this.#woken(until - this.#clock(), options.signal);
      }
    } finally {
      this.receivesUnderWay--;
    }
  }

  async delete(receipts: readonly string[]): Promise<FailedEntry[]> {
    this.#arrive('delete', receipts);
    const found = receipts.map((receipt) => this.#byReceipt(receipt));
    this.onDelete(found.flatMap((message) => (message === undefined ? [] : [message.messageId])));
    const failed = this.#each(receipts, (message) => {
      this.#messages.splice(this.#messages.indexOf(message), 1);
      this.deleted.push(message.messageId);
    });
    this.wake();
    return failed;
  }

  async changeVisibility(receipts: readonly string[], seconds: number): Promise<FailedEntry[]> {
    this.#arrive('changeVisibility', receipts, seconds);
    const failed = this.#each(receipts, (message) => {
      message.visibleAtMs = seconds === 0 ? 0 : this.#clock() + seconds * 1000;
      if (seconds === 0) message.receipt = undefined;
    });
    this.wake();
    return failed;
  }

  async attributes(): Promise<QueueAttributes> {
    this.#arrive('attributes', []);
    const { inFlight } = this;
    return {
      visibilityTimeoutSeconds: this.#timeoutSeconds,
      fifo: this.#fifo,
      visible: this.#messages.length - inFlight,
      inFlight,
      delayed: 0,
    };
  }

  #arrive(call: Call, receipts: readonly string[], seconds?: number): void {
    if (receipts.length > 10) throw new Error('more than ten entries in a batch');
    this.calls.push({ call, receipts, ...(seconds === undefined ? {} : { seconds }) });
    const outage = this.outages.get(call);
    if (outage !== undefined) throw new PipelineError(outage, 'fake');
  }

  #each(receipts: readonly string[], apply: (message: Stored) => void): FailedEntry[] {
    return receipts.flatMap((receiptHandle) => {
      const planned = this.entryFailures.get(receiptHandle)?.shift();
      if (planned !== undefined) return [{ receiptHandle, ...planned }];
      const message = this.#byReceipt(receiptHandle);
      if (message === undefined)
        return [{ receiptHandle, code: 'ReceiptHandleIsInvalid', senderFault: true }];
      apply(message);
      return [];
    });
  }

  /** Only the latest receipt of a message that is still out. */
  #byReceipt(receipt: string): Stored | undefined {
    return this.#messages.find(
      (message) => message.receipt === receipt && message.visibleAtMs > this.#clock(),
    );
  }

  #take(max: number): QueueMessage[] {
    const now = this.#clock();
    const locked = new Set(
      this.#fifo ? this.#messages.filter((m) => m.visibleAtMs > now).map((m) => m.groupId) : [],
    );
    const taken = this.#messages.filter((m) => m.visibleAtMs <= now && !locked.has(m.groupId)).slice(0, max);
    return taken.map((message) => {
      message.receipt = randomUUID();
      message.visibleAtMs = now + this.#timeoutSeconds * 1000;
      message.receiveCount++;
      const {
        messageId,
        receipt: receiptHandle,
        body,
        sentAtMs,
        receiveCount,
        attributes,
        groupId,
      } = message;
      const received = { messageId, receiptHandle, body, sentAtMs, receiveCount, attributes };
      return groupId === undefined ? received : Object.assign(received, { groupId });
    });
  }

  #woken(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#wakers.delete(finish);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, ms);
      this.#wakers.add(finish);
      signal.addEventListener('abort', finish, { once: true });
    });
  }
}
