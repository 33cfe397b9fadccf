import type { Position, RecordConsumer } from '../../shared/kafka/ports.ts';
import type { Logger } from '../../shared/log.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { WriterObserver } from './observe.ts';

/**
 * Not after every batch: a commit is a write to a replicated topic, and costs a broker more than a small fetch. What a crash or a rebalance makes us
 * read again is what a tenth of a second brought, or a second if that is less than so many records; and reading again is harmless.
 */
const interval = { leastMs: 100, mostMs: 1_000, records: 1_000 };

/**
 * Commits offsets of what is durable, off the writing path and one commit at a time. A commit that fails is no outage of ours: the
 * next one says more. **Only positions handed to {@link advance} are committed**, and those are durable in Postgres.
 */
export class OffsetCommitter {
  readonly #consumer: RecordConsumer;
  readonly #log: Logger;
  readonly #observer: Pick<WriterObserver, 'committing'> | undefined;
  readonly #noteOf: (partition: number) => string | undefined;
  readonly #ending = new AbortController();
  #pending = new Map<number, bigint>();
  /** How many records the pending positions are worth. */
  #records = 0;
  #running: Promise<void> | undefined;

  /** `noteOf`: what is kept beside the offset of a partition, as it is when the offset is committed. */
  constructor(
    consumer: RecordConsumer,
    log: Logger,
    options: {
      readonly observer?: Pick<WriterObserver, 'committing'>;
      readonly noteOf?: (partition: number) => string | undefined;
    } = {},
  ) {
    this.#consumer = consumer;
    this.#log = log;
    this.#observer = options.observer;
    this.#noteOf = options.noteOf ?? (() => undefined);
  }

  /** `records`: how many more have become durable. */
  advance(position: Position, records: number): void {
    this.#records += records;
    for (const [partition, offset] of position) this.#pending.set(partition, offset);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** The assignment changed: what is pending may belong to others now. */
  reset(): void {
    this.#pending.clear();
    this.#records = 0;
  }

  /** Commits what is pending, once; for the end of a process. Best effort: what is not committed is read again. */
  async flush(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await this.#commit();
  }

  async #run(): Promise<void> {
    while (this.#pending.size > 0) {
      await this.#commit();
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    const { leastMs, mostMs, records } = interval;
    for (let waitedMs = 0; waitedMs < mostMs; waitedMs += leastMs) {
      await sleep(leastMs, this.#ending.signal);
      if (this.#records >= records || this.#ending.signal.aborted) return;
    }
  }

  async #commit(): Promise<void> {
    if (this.#pending.size === 0) return;
    const position = this.#pending;
    this.#pending = new Map();
    this.#records = 0;
    try {
      const commit = () => this.#consumer.commit(position, this.#noteOf);
      await (this.#observer === undefined ? commit() : this.#observer.committing(position.size, commit));
    } catch {
      this.#log.debug({ partitions: position.size }, 'offset commit failed: the next one will say more');
    }
  }
}
