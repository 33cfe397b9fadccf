import { PipelineError } from '../errors.ts';
import { backoffMs, sleep } from '../lifecycle.ts';
import { offsetsOf, partitionsOf, withAdmin } from './admin.ts';
import { classifyKafkaError, isOfType } from './classify.ts';
import type { KafkaClient } from './kafkajs-client.ts';
import { openFetcher, type Fetched, type Fetcher, type FetchLimits } from './kafkajs-fetch.ts';
import { topicOffsets } from './offsets.ts';
import type { FetchedBatch } from './ports.ts';

/** Offsets of one partition, `to` excluded. */
export interface OffsetRange {
  readonly from: bigint;
  readonly to: bigint;
}

/** What is to be read of a topic, by partition in ascending order. */
export type TopicRange = ReadonlyMap<number, OffsetRange>;

export interface RangeSelection {
  /** Only these; all when not given. */
  readonly partitions?: readonly number[] | undefined;
  /**
   * Nothing with a timestamp before this is needed, by Kafka's own index. **There is no such bound at the other end**: timestamps are
   * SentTimestamps and come in any order, so a reader that wants none after some time looks at each record.
   */
  readonly fromMs?: number | undefined;
}

/**
 * What a topic holds now, of a selection: **its ends are frozen**, what is written later is not part of it.
 * @throws PipelineError USAGE when a partition does not exist, KAFKA_TOPIC_MISSING, KAFKA_UNAVAILABLE, KAFKA_FORBIDDEN
 */
export async function resolveRange(
  client: KafkaClient,
  topic: string,
  selection: RangeSelection = {},
): Promise<Map<number, OffsetRange>> {
  const offsets = await topicOffsets(client, topic);
  const unknown = selection.partitions?.find((partition) => !offsets.has(partition));
  if (unknown !== undefined) throw new PipelineError('USAGE', `topic ${topic} has no partition ${unknown}`);
  const starts = await startsAt(client, topic, selection.fromMs);
  const range = new Map<number, OffsetRange>();
  for (const [partition, { low, high }] of offsets) {
    if (selection.partitions?.includes(partition) === false) continue;
    const start = starts.get(partition) ?? low;
    range.set(partition, { from: start < low ? low : start > high ? high : start, to: high });
  }
  return range;
}

/** The first offset of each partition whose record is not older; its end when there is none. */
async function startsAt(
  client: KafkaClient,
  topic: string,
  fromMs: number | undefined,
): Promise<Map<number, bigint>> {
  if (fromMs === undefined) return new Map();
  return withAdmin(client, async (admin) => {
    const found = await admin.fetchTopicOffsetsByTimestamp(topic, fromMs);
    return new Map(found.map(({ partition, offset }) => [partition, BigInt(offset)]));
  });
}

/** Records in a range: there may be none, and `nextOffset` is behind them all the same. */
export interface RangeBatch extends FetchedBatch {
  /** From where to go on with this partition once these are dealt with. The end of its range: done. */
  readonly nextOffset: bigint;
  /** Offsets of the range, before these records, that retention took away before they were read. */
  readonly missed: bigint;
}

export interface ReadOptions extends Partial<FetchLimits> {
  /** Ends the reading between two batches, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Attempts in a row before an outage is the caller's (default 6, about three seconds). */
  readonly attempts?: number;
}

const limits: FetchLimits = { maxWaitMs: 250, maxBytes: 4_194_304, maxBytesPerPartition: 1_048_576 };
const backoff = { baseMs: 100, capMs: 1_000 };
/** A leader just elected may not know the end of its partition for a moment; this many looks are no moment. */
const shortLooks = 40;

/**
 * Reads every record of a range once, in the order of its partition, and ends. Own position, **no group**: nobody's offsets, lag or
 * membership are touched, and any number may read at once. While a batch is dealt with, the next is fetched.
 *
 *     for await (const batch of readRange(client, topic, await resolveRange(client, topic))) …
 *
 * To resume, call again with `from` at the last `nextOffset` of each partition.
 *
 * @throws PipelineError KAFKA_UNAVAILABLE after some attempts; KAFKA_FORBIDDEN; KAFKA_TOPIC_MISSING, also when a partition ends before
 *   the range does, for then the topic was made anew.
 */
export async function* readRange(
  client: KafkaClient,
  topic: string,
  range: TopicRange,
  options: ReadOptions = {},
): AsyncGenerator<RangeBatch, void, undefined> {
  const reader = new RangeReader(client, topic, range, options);
  const stopped = (): boolean => options.signal?.aborted ?? false;
  const fetchNext = (): Promise<RangeBatch[]> | undefined => {
    if (!reader.unfinished) return undefined;
    const fetching = reader.fetch();
    // What fails here is thrown where it is awaited, and is nobody's when the caller has had enough.
    fetching.catch(() => undefined);
    return fetching;
  };
  try {
    let next = fetchNext();
    while (next !== undefined && !stopped()) {
      const batches = await next;
      next = fetchNext();
      for (const batch of batches) {
        if (stopped()) return;
        yield batch;
      }
    }
  } finally {
    await reader.close();
  }
}

class RangeReader {
  readonly #client: KafkaClient;
  readonly #topic: string;
  readonly #options: Required<Pick<ReadOptions, 'attempts'>> &
    FetchLimits & { signal: AbortSignal | undefined };
  /** What is left of the range. */
  readonly #left = new Map<number, { from: bigint; readonly to: bigint }>();
  readonly #missed = new Map<number, bigint>();
  /** Times in a row that a partition brought nothing although it has more. */
  readonly #empty = new Map<number, number>();
  readonly #short = new Map<number, number>();
  #fetcher: Promise<Fetcher> | undefined;
  #outOfRange = false;
  #closed = false;

  constructor(client: KafkaClient, topic: string, range: TopicRange, options: ReadOptions) {
    this.#client = client;
    this.#topic = topic;
    this.#options = { attempts: 6, ...limits, ...options, signal: options.signal };
    for (const [partition, { from, to }] of range) if (from < to) this.#left.set(partition, { from, to });
  }

  get unfinished(): boolean {
    return this.#left.size > 0;
  }

  async fetch(): Promise<RangeBatch[]> {
    for (let attempt = 1; ; attempt += 1) {
      if (this.#closed) return [];
      try {
        if (this.#outOfRange) await this.#moveToBeginnings();
        if (!this.unfinished) return this.#skipped();
        const fetched = await this.#fetchOnce();
        return [...this.#skipped(), ...fetched.flatMap((batch) => this.#take(batch))];
      } catch (error) {
        await this.#disconnect();
        this.#outOfRange = isOfType(error, 'OFFSET_OUT_OF_RANGE');
        const known = classifyKafkaError(error);
        if (known.action !== 'retry' && !isOfType(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw known;
        if (attempt >= this.#options.attempts) throw this.#outOfRange ? madeAnew(this.#topic) : known;
        await sleep(backoffMs(attempt, backoff), this.#options.signal);
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#disconnect();
  }

  async #fetchOnce(): Promise<Fetched[]> {
    const { maxWaitMs, maxBytes, maxBytesPerPartition } = this.#options;
    this.#fetcher ??= openFetcher(this.#client, this.#topic, { maxWaitMs, maxBytes, maxBytesPerPartition });
    const fetcher = await this.#fetcher;
    // One that brought nothing may have found no room in the answer beside the others: it is asked alone.
    const alone = [...this.#left.keys()].find((partition) => (this.#empty.get(partition) ?? 0) > 0);
    const asked = alone === undefined ? [...this.#left.keys()] : [alone];
    return fetcher.fetch(
      new Map(asked.map((partition) => [partition, this.#left.get(partition)?.from ?? 0n])),
    );
  }

  async #disconnect(): Promise<void> {
    const opening = this.#fetcher;
    this.#fetcher = undefined;
    const fetcher = await opening?.catch(() => undefined);
    await fetcher?.close();
  }

  /** What lies in the range, and the position behind it. Empty when nothing came. */
  #take(fetched: Fetched): RangeBatch[] {
    const { partition, highWatermark, nextOffset } = fetched;
    const left = this.#left.get(partition);
    if (left === undefined) return [];
    if (nextOffset === left.from) return this.#takeNothing(partition, left.to, highWatermark);
    const records = fetched.records.filter(({ offset }) => offset < left.to);
    return [this.#batch(partition, records, highWatermark, nextOffset < left.to ? nextOffset : left.to)];
  }

  #takeNothing(partition: number, to: bigint, end: bigint): RangeBatch[] {
    const short = end < to;
    const counts = short ? this.#short : this.#empty;
    const times = (counts.get(partition) ?? 0) + 1;
    counts.set(partition, times);
    if (short && times >= shortLooks) throw madeAnew(this.#topic);
    // Asked alone, and twice: compaction has left no record there.
    return !short && times >= 3 ? [this.#batch(partition, [], end, to)] : [];
  }

  /** Retention has moved the beginning past positions of ours. */
  async #moveToBeginnings(): Promise<void> {
    const lows = await withAdmin(this.#client, async (admin) => {
      if ((await partitionsOf(admin, this.#topic)) === undefined) {
        throw new PipelineError('KAFKA_TOPIC_MISSING', `topic ${this.#topic}`);
      }
      return offsetsOf(admin, this.#topic);
    });
    for (const { partition, low } of lows) {
      const left = this.#left.get(partition);
      if (left === undefined || BigInt(low) <= left.from) continue;
      const moved = BigInt(low) < left.to ? BigInt(low) : left.to;
      this.#missed.set(partition, (this.#missed.get(partition) ?? 0n) + moved - left.from);
      left.from = moved;
    }
  }

  /** Partitions of which retention has left nothing to read. */
  #skipped(): RangeBatch[] {
    const over = [...this.#left].filter(([, { from, to }]) => from === to);
    return over.map(([partition, { to }]) => this.#batch(partition, [], to, to));
  }

  /** What is handed over: counts what was missed once, and forgets a partition that is read to its end. */
  #batch(
    partition: number,
    records: FetchedBatch['records'],
    highWatermark: bigint,
    nextOffset: bigint,
  ): RangeBatch {
    const missed = this.#missed.get(partition) ?? 0n;
    this.#missed.delete(partition);
    this.#empty.delete(partition);
    this.#short.delete(partition);
    const left = this.#left.get(partition);
    if (left !== undefined) left.from = nextOffset;
    if (nextOffset === left?.to) this.#left.delete(partition);
    return { topic: this.#topic, partition, records, highWatermark, nextOffset, missed };
  }
}

function madeAnew(topic: string): PipelineError {
  return new PipelineError(
    'KAFKA_TOPIC_MISSING',
    `topic ${topic} ends before the range does, so it was made anew`,
  );
}
