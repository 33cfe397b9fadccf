import { PipelineError } from '../errors.ts';
import { backoffMs, sleep } from '../lifecycle.ts';
import { classifyKafkaError } from './classify.ts';
import type { Assignment, NoteOf } from './kafkajs-assignment.ts';
import type { KafkaClient } from './kafkajs-client.ts';
import { runSession } from './kafkajs-session.ts';
import type { ConsumerHandlers, Position, RecordConsumer } from './ports.ts';

export interface RecordConsumerOptions {
  readonly topic: string;
  readonly groupId: string;
  /** Without a heartbeat for this long, the group gives the partitions to others (default 6 s, the least a broker allows). */
  readonly sessionTimeoutMs?: number;
  readonly heartbeatIntervalMs?: number;
  /** How long the group waits for a member to join again (default 30 s). */
  readonly rebalanceTimeoutMs?: number;
  /** How long a broker holds a fetch that finds nothing (default 250 ms); it also bounds how long {@link RecordConsumer.stop} takes. */
  readonly maxWaitMs?: number;
  readonly maxBytes?: number;
  /** A larger record is fetched all the same, alone. */
  readonly maxBytesPerPartition?: number;
  /** Partitions added while running are noticed after this long at most (default 30 s). */
  readonly metadataMaxAgeMs?: number;
}

/**
 * {@link RecordConsumer} by kafkajs. **`onBatch` calls never overlap and never cross a join**: when `onAssigned` is called, none is
 * running, and none of an earlier assignment follows. Whenever `onBatch` rejects, or its heartbeat did, `onAssigned` comes
 * before the next `onBatch`. Call `stop` from outside the handlers: it waits for them.
 */
export function createRecordConsumer(client: KafkaClient, options: RecordConsumerOptions): RecordConsumer {
  return new KafkajsConsumer(client, options);
}

/** Not above 1 s, so that work resumes within a second of the server's return. */
const backoff = { baseMs: 200, capMs: 1_000 };
/** A topic just made may be unknown to a broker for a moment; this many times in a row is no moment. */
const missingLooks = 3;
/** A membership that lasted this long was sound: the next trouble is a new one, and is waited out from the start. */
const soundMs = 10_000;

class KafkajsConsumer implements RecordConsumer {
  readonly #client: KafkaClient;
  readonly #options: Required<RecordConsumerOptions>;
  readonly #stopping = new AbortController();
  #run: Promise<void> | undefined;
  #committing: Promise<void> = Promise.resolve();
  #assigned: ReadonlySet<number> = new Set();
  /** The one under which the latest batch was handed over. */
  #assignment: Assignment | undefined;

  constructor(client: KafkaClient, options: RecordConsumerOptions) {
    this.#client = client;
    this.#options = {
      sessionTimeoutMs: 6_000,
      heartbeatIntervalMs: 900,
      rebalanceTimeoutMs: 30_000,
      maxWaitMs: 250,
      maxBytes: 4_194_304,
      maxBytesPerPartition: 1_048_576,
      metadataMaxAgeMs: 30_000,
      ...options,
    };
  }

  run(handlers: ConsumerHandlers): Promise<void> {
    if (this.#run !== undefined) throw new PipelineError('INTERNAL', 'a consumer was run twice');
    this.#run = this.#sessions(handlers);
    return this.#run;
  }

  commit(position: Position, noteOf: NoteOf = () => undefined): Promise<void> {
    const commit = this.#committing.then(() => this.#commit(position, noteOf));
    this.#committing = commit.catch(() => undefined);
    return commit;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#run?.catch(() => undefined);
  }

  async #commit(position: Position, noteOf: NoteOf): Promise<void> {
    const assignment = this.#assignment;
    const ours = new Map([...position].filter(([partition]) => this.#assigned.has(partition)));
    if (assignment === undefined || !assignment.isLatest() || ours.size === 0) return;
    try {
      await assignment.commit(this.#options.topic, ours, noteOf);
    } catch (error) {
      throw classifyKafkaError(error);
    }
  }

  /** One membership after another until stopped or told that going on cannot help. */
  async #sessions(handlers: ConsumerHandlers): Promise<void> {
    const { topic, groupId } = this.#options;
    const { log } = this.#client;
    const stop = this.#stopping.signal;
    let attempt = 0;
    let missing = 0;
    while (!stop.aborted) {
      let joinedAt: number | undefined;
      const ended = await runSession(this.#client, this.#options, handlers, stop, {
        assigned: (partitions) => {
          if (attempt > 0 && joinedAt === undefined) log.info({ topic, groupId }, 'joined the group again');
          joinedAt ??= performance.now();
          this.#assigned = new Set(partitions);
          this.#assignment = undefined;
        },
        delivering: (assignment) => {
          this.#assignment = assignment;
        },
      });
      this.#assigned = new Set();
      this.#assignment = undefined;
      if (stop.aborted) return;
      if (ended.ofHandler && !isRetriable(ended.error)) throw ended.error;
      const error = classifyKafkaError(ended.error);
      missing = error.code === 'KAFKA_TOPIC_MISSING' ? missing + 1 : 0;
      if (missing >= missingLooks) throw new PipelineError('KAFKA_TOPIC_MISSING', `topic ${topic}`);
      if (error.action !== 'retry' && missing === 0) throw error;
      if (joinedAt !== undefined && performance.now() - joinedAt > soundMs) attempt = 0;
      if (attempt === 0) {
        log.warn({ topic, groupId, code: error.code, detail: error.detail }, 'left the group: joining again');
      }
      handlers.onLeft?.(error);
      await sleep(backoffMs(attempt, backoff), stop);
      attempt += 1;
    }
  }
}

function isRetriable(error: unknown): boolean {
  return error instanceof PipelineError && error.action === 'retry';
}
