import type { PipelineError } from '../errors.ts';

/** A record to send. `key` decides the partition unless the caller chose one; `timestampMs` is SentTimestamp. */
export interface OutgoingRecord {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly timestampMs: number;
  /** Only those that have them: see "Identity and time" in the design. */
  readonly headers?: Readonly<Record<string, Buffer>>;
}

/** What one partition is given in one request: at most 1,000 records. */
export interface PartitionBatch {
  readonly partition: number;
  readonly records: readonly OutgoingRecord[];
}

/** Acknowledged by every in-sync replica at `baseOffset`, or not acknowledged: send it again. */
export type PartitionAck =
  | { readonly partition: number; readonly baseOffset: bigint }
  | { readonly partition: number; readonly error: Error };

/**
 * Sends record batches. **A partition is acknowledged only by its own offset in the broker's answer**; anything
 * else, a thrown request included, is an unacknowledged partition.
 */
export interface RecordProducer {
  /** @throws PipelineError KAFKA_TOPIC_MISSING, KAFKA_UNAVAILABLE */
  partitionCount(topic: string): Promise<number>;
  /** One attempt, no retry inside. Resolves with one entry per batch given, in that order; never rejects for an outage. */
  send(topic: string, batches: readonly PartitionBatch[]): Promise<PartitionAck[]>;
  close(): Promise<void>;
}

/** Received. Its parts may be made when they are asked for, so it is not to be copied by `...`. */
export interface IncomingRecord {
  readonly offset: bigint;
  /** Empty when the record has none. */
  readonly key: Buffer;
  /** Empty when the record has none (a tombstone). */
  readonly value: Buffer;
  readonly timestampMs: number;
  readonly headers: Readonly<Record<string, Buffer>>;
  /** Bytes of key and value, where that is known without looking at them. */
  readonly size?: number;
  /** The key as Latin-1, where that costs less than the key. */
  readonly keyText?: string;
}

/** Records of one partition in offset order, and how far the partition reaches. */
export interface FetchedBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly IncomingRecord[];
  /** The offset that the next record of this partition will have. */
  readonly highWatermark: bigint;
}

/** Next offsets to read, by partition. */
export type Position = ReadonlyMap<number, bigint>;

export interface ConsumerHandlers {
  /**
   * Takes a fetched batch. The position moves past it when this resolves; that commits nothing.
   * While it waits (a full queue) it must call `heartbeat` at least once a second: that keeps the membership,
   * and throws when the group is rebalancing, which must be let through.
   */
  onBatch(batch: FetchedBatch, heartbeat: () => Promise<void>): Promise<void>;
  /**
   * The assignment has changed. **Everything handed over under an earlier assignment and not yet durable must be
   * dropped**: its owner, maybe this one again, reads it again from the committed offset.
   */
  onAssigned(partitions: readonly number[]): void;
  /** The membership has ended over an outage, and is sought again. */
  onLeft?(error: PipelineError): void;
}

/** A member of a consumer group on one topic, reading from the beginning where nothing is committed. */
export interface RecordConsumer {
  /**
   * Joins and reads until `stop`. Outages are waited out inside.
   * @throws PipelineError of action `stop`, when going on cannot help (the process must end).
   */
  run(handlers: ConsumerHandlers): Promise<void>;
  /**
   * Commits next-to-read offsets, each with the note of its partition or without one. Partitions that are not this member's any more are left
   * out. Rejects when the commit failed.
   */
  commit(position: Position, noteOf?: (partition: number) => string | undefined): Promise<void>;
  /** Leaves the group at once, so that its partitions move on without waiting for the session to time out. Idempotent. */
  stop(): Promise<void>;
}
