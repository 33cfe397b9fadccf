import type { Position, RecordConsumer } from '../../shared/kafka/ports.ts';
import type { Logger } from '../../shared/log.ts';
import { sleep } from '../../shared/lifecycle.ts';

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
  #pending = new Map<number, bigint>();
  #running: Promise<void> | undefined;

  constructor(consumer: RecordConsumer, log: Logger) {
    this.#consumer = consumer;
    this.#log = log;
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
      await this.#consumer.commit(position);
    } catch {
      this.#log.debug({ partitions: position.size }, 'offset commit failed: the next one will say more');
    }
  }
}
