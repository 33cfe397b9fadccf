import { PipelineError } from '../errors.ts';
import { backoffMs } from '../lifecycle.ts';
import type { Logger } from '../log.ts';
import { classifyKafkaError } from './classify.ts';
import { Lane } from './lane.ts';
import { partitionFor } from './partitioner.ts';
import type { OutgoingRecord, PartitionAck, RecordProducer } from './ports.ts';

/** Calls `task` after `ms` and returns what takes that back. */
export type Schedule = (task: () => void, ms: number) => () => void;

export interface PublisherOptions<T> {
  readonly producer: RecordProducer;
  readonly topic: string;
  /** Of the topic, from {@link RecordProducer.partitionCount}. That there are more by now is noticed while records are sent. */
  readonly partitions: number;
  /** Items of records that are acknowledged, in the order pushed within a partition. */
  readonly onAcked: (items: T[]) => void;
  /**
   * An error of action `stop` (topic missing, forbidden, a record too large), or one thrown by `onAcked`; at most once.
   * Nothing is sent after it; {@link Publisher.close} still returns every item that was not acknowledged.
   */
  readonly onFatal: (error: unknown) => void;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** How long a record waits for company while a request is out (default 5 ms); when none is, until the end of the current task. */
  readonly lingerMs?: number;
  /** Records wait for `lingerMs` in any case, for instance because they come out of a backlog: fewer requests, each with more in it. */
  readonly unhurried?: () => boolean;
  readonly maxBatchRecords?: number;
  /** Before compression (default 1 MiB). */
  readonly maxBatchBytes?: number;
  readonly random?: () => number;
  readonly schedule?: Schedule;
  /** Milliseconds that only grow. */
  readonly clock?: () => number;
}

/** How often to ask whether partitions were added. Until then their share goes to the others, where it is read all the same. */
const partitionLookMs = 10_000;

/** Not above 1 s, so that work resumes within a second of the server's return. */
const backoff = { baseMs: 50, capMs: 1_000 };

/**
 * Puts records on a topic so that none is lost: batches by partition, one out at a time, sent again until the broker
 * gives the partition's own offset for it. **An item is acknowledged at most once, and only after every in-sync replica has its
 * record; the records of a partition are first written in the order pushed.** A record may be written more than once. When
 * partitions are added, a key may move to another: its records before and after are in order, each in their own partition.
 *
 * Nothing is refused while a broker is down: whoever pushes looks at `outage` and `bytes`, and stops.
 */
export class Publisher<T> {
  readonly #options: PublisherOptions<T>;
  readonly #lanes: Lane<T>[];
  readonly #newLane: (partition: number) => Lane<T>;
  readonly #schedule: Schedule;
  readonly #clock: () => number;
  #lookedAt: number;
  readonly #cancels = new Set<() => void>();
  readonly #waiters = new Set<() => void>();
  #lingering = false;
  /** Requests that are out. */
  #sending = 0;
  #failing = 0;
  #records = 0;
  #bytes = 0;
  #closing = false;
  #closed = false;
  #fatal: { readonly error: unknown } | undefined;

  constructor(options: PublisherOptions<T>) {
    this.#options = options;
    this.#schedule = options.schedule ?? scheduleByTimer;
    const limits = {
      maxRecords: options.maxBatchRecords ?? 1_000,
      maxBytes: options.maxBatchBytes ?? 1_048_576,
    };
    this.#newLane = (partition) => new Lane<T>(partition, limits);
    this.#lanes = Array.from({ length: options.partitions }, (_, partition) => this.#newLane(partition));
    this.#clock = options.clock ?? (() => performance.now());
    this.#lookedAt = this.#clock();
  }

  /** Records not yet acknowledged. */
  get records(): number {
    return this.#records;
  }

  /** Their bytes before compression. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The last attempt of some partition failed, and it has records waiting. */
  get outage(): boolean {
    return this.#failing > 0;
  }

  /**
   * Queues a record for the partition of its key, or the one given. Neither waits nor fails for an outage.
   * @throws PipelineError INTERNAL after {@link Publisher.close}: such a record would be lost.
   */
  push(record: OutgoingRecord, item: T, partition = partitionFor(record.key, this.#lanes.length)): void {
    if (this.#closing) throw new PipelineError('INTERNAL', 'a record was pushed to a closed publisher');
    const lane = this.#lanes[partition];
    if (lane === undefined) throw new PipelineError('INTERNAL', 'the topic has no such partition');
    this.#bytes += lane.push(record, item);
    this.#records += 1;
    if (lane.ready) this.#dispatch();
    else if (!lane.due) this.#linger();
  }

  /**
   * Resolves when everything pushed so far is acknowledged; it goes out at once.
   * Rejects with the error given to `onFatal`, and with PipelineError KAFKA_UNAVAILABLE when closed by force before.
   */
  async flush(): Promise<void> {
    const goals = this.#lanes.map((lane) => lane.pushed);
    this.#expedite();
    await this.#until(() => this.#lanes.every((lane, i) => lane.acked >= (goals[i] ?? 0)));
    if (this.#lanes.every((lane, i) => lane.acked >= (goals[i] ?? 0))) return;
    throw this.#fatal === undefined ? new PipelineError('KAFKA_UNAVAILABLE') : this.#fatal.error;
  }

  /**
   * Sends what is left, waiting out outages until `force` aborts, and returns the items never acknowledged: none, unless
   * forced or failed. No callback after it. Does not close the producer. Calling again returns the same items.
   */
  async close(force: AbortSignal): Promise<T[]> {
    this.#closing = true;
    this.#expedite();
    const wake = () => this.#wake();
    force.addEventListener('abort', wake);
    await this.#until(() => this.#records === 0 || force.aborted);
    force.removeEventListener('abort', wake);
    this.#closed = true;
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
    this.#wake();
    return this.#lanes.flatMap((lane) => lane.unacknowledged());
  }

  /** Waits for a condition, for a fatal error or for the end. */
  async #until(met: () => boolean): Promise<void> {
    while (!met() && this.#fatal === undefined && !this.#closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiters.add(resolve);
      await promise;
      this.#waiters.delete(resolve);
    }
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }

  #expedite(): void {
    for (const lane of this.#lanes) if (lane.waiting > 0) lane.due = true;
    this.#dispatch();
  }

  /** In a hurry, nobody waits for a timer while nothing is on its way: what comes meanwhile is the company for the next request. */
  #linger(): void {
    if (this.#lingering) return;
    this.#lingering = true;
    const expire = () => {
      this.#lingering = false;
      this.#expedite();
    };
    const lingerMs = this.#options.lingerMs ?? 5;
    if (lingerMs === 0 || (this.#sending === 0 && !this.#unhurried)) queueMicrotask(expire);
    else this.#later(expire, lingerMs);
  }

  get #unhurried(): boolean {
    return this.#options.unhurried?.() ?? false;
  }

  #later(task: () => void, ms: number): void {
    const cancel = this.#schedule(() => {
      this.#cancels.delete(cancel);
      task();
    }, ms);
    this.#cancels.add(cancel);
  }

  /** Ready lanes go out in one request; one that failed goes alone, so that it cannot hold up those that work. */
  #dispatch(): void {
    if (this.#closed || this.#fatal !== undefined) return;
    const ready = this.#lanes.filter((lane) => lane.ready);
    for (const lane of ready) lane.busy = true;
    const healthy = ready.filter((lane) => lane.attempt === 0);
    if (healthy.length > 0) void this.#send(healthy);
    for (const lane of ready) if (lane.attempt > 0) void this.#send([lane]);
  }

  /** Never rejects. */
  async #send(lanes: readonly Lane<T>[]): Promise<void> {
    let acks: readonly PartitionAck[] = [];
    let failure: unknown;
    this.#sending += 1;
    try {
      const batches = lanes.map((lane) => lane.take());
      acks = await this.#options.producer.send(this.#options.topic, batches);
    } catch (error) {
      failure = error;
    }
    this.#sending -= 1;
    if (this.#closed) return;
    const items: T[] = [];
    for (const lane of lanes) {
      const ack = acks.find(({ partition }) => partition === lane.partition);
      if (ack !== undefined && 'baseOffset' in ack) items.push(...this.#acknowledge(lane));
      else this.#retry(lane, classifyKafkaError(ack === undefined ? failure : ack.error));
    }
    try {
      if (items.length > 0) this.#options.onAcked(items);
    } catch (error) {
      this.#fail(error);
    }
    this.#wake();
    if (this.#sending === 0 && !this.#unhurried) this.#expedite();
    else this.#dispatch();
    if (this.#clock() - this.#lookedAt >= partitionLookMs) void this.#look();
  }

  /** Never rejects: what is wrong with the topic, a send finds out. */
  async #look(): Promise<void> {
    this.#lookedAt = this.#clock();
    const { producer, topic, log } = this.#options;
    const found = await producer.partitionCount(topic).catch(() => 0);
    const before = this.#lanes.length;
    if (this.#closing || found <= before) return;
    while (this.#lanes.length < found) this.#lanes.push(this.#newLane(this.#lanes.length));
    log.info({ topic, before, partitions: found }, 'partitions were added');
  }

  #acknowledge(lane: Lane<T>): T[] {
    if (lane.attempt > 0) {
      this.#failing -= 1;
      if (this.#failing === 0)
        this.#options.log.info({ topic: this.#options.topic }, 'Kafka takes records again');
    }
    const { items, bytes } = lane.acknowledge();
    this.#records -= items.length;
    this.#bytes -= bytes;
    lane.busy = false;
    return items;
  }

  #retry(lane: Lane<T>, error: PipelineError): void {
    if (error.code === 'KAFKA_RECORD_TOO_LARGE' && lane.halve()) {
      lane.busy = false;
      return;
    }
    if (error.action === 'stop') {
      this.#fail(error);
      return;
    }
    if (lane.attempt === 0) {
      if (this.#failing === 0) {
        const { code, detail } = error;
        this.#options.log.warn(
          { topic: this.#options.topic, partition: lane.partition, code, detail },
          'Kafka takes no records: sending again until it does',
        );
      }
      this.#failing += 1;
    }
    const waitMs = backoffMs(lane.attempt, { ...backoff, random: this.#options.random ?? Math.random });
    lane.attempt += 1;
    this.#later(() => {
      lane.busy = false;
      this.#dispatch();
    }, waitMs);
  }

  #fail(error: unknown): void {
    if (this.#fatal !== undefined) return;
    this.#fatal = { error };
    this.#wake();
    this.#options.onFatal(error);
  }
}

function scheduleByTimer(task: () => void, ms: number): () => void {
  const timer = setTimeout(task, ms);
  return () => clearTimeout(timer);
}
