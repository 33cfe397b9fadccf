import type { Position, RecordConsumer } from '../../shared/kafka/ports.ts';
import type { Logger } from '../../shared/log.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { WriterObserver } from './observe.ts';

/**
 * Not after every batch: a commit is a write to a replicated topic. What a crash makes us read again is at most this much,
 * and reading again is harmless.
 */
const intervalMs = 100;

/**
 * Commits offsets of what is durable, off the writing path and one commit at a time. A commit that fails is no outage of ours: the
 * next one says more. **Only positions handed to {@link advance} are committed**, and those are durable in Postgres.
 */
export class OffsetCommitter {
  readonly #consumer: RecordConsumer;
  readonly #log: Logger;
  readonly #observer: Pick<WriterObserver, 'committing'> | undefined;
  readonly #noteOf: (partition: number) => string | undefined;
  #pending = new Map<number, bigint>();
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

  advance(position: Position): void {
    for (const [partition, offset] of position) this.#pending.set(partition, offset);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** The assignment changed: what is pending may belong to others now. */
  reset(): void {
    this.#pending.clear();
  }

  /** Commits what is pending, once; for the end of a process. Best effort: what is not committed is read again. */
  async flush(): Promise<void> {
    await this.#running;
    await this.#commit();
  }

  async #run(): Promise<void> {
    while (this.#pending.size > 0) {
      await this.#commit();
      await sleep(intervalMs);
    }
  }

  async #commit(): Promise<void> {
    if (this.#pending.size === 0) return;
    const position = this.#pending;
    this.#pending = new Map();
    try {
      const commit = () => this.#consumer.commit(position, this.#noteOf);
      await (this.#observer === undefined ? commit() : this.#observer.committing(position.size, commit));
    } catch {
      this.#log.debug({ partitions: position.size }, 'offset commit failed: the next one will say more');
    }
  }
}
