import { PipelineError } from '../../shared/errors.ts';
import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { readRange, resolveRange, type OffsetRange } from '../../shared/kafka/read-range.ts';

/** Which records of a topic: the newest, or those from an offset or a time on. */
export interface Where {
  readonly partition?: number | undefined;
  readonly fromOffset?: bigint | undefined;
  /** Milliseconds since the epoch. */
  readonly fromMs?: number | undefined;
  /** Records at most. */
  readonly limit: number;
}

/** A record with its place. */
export interface Found {
  readonly topic: string;
  readonly partition: number;
  readonly record: IncomingRecord;
}

/**
 * Reads what is asked for, in the order of timestamps, in no group: no position of anybody's is touched. Of each partition `limit` offsets
 * at most are read; what `keep` makes of a record is held, of twice `limit` records at most.
 *
 * @throws PipelineError USAGE for a partition that does not exist, or an offset without one; KAFKA_TOPIC_MISSING, KAFKA_UNAVAILABLE,
 * KAFKA_FORBIDDEN
 */
export async function look<T>(
  client: KafkaClient,
  topic: string,
  where: Where,
  keep: (found: Found) => T,
): Promise<T[]> {
  const { partition, fromOffset, fromMs, limit } = where;
  if (fromOffset !== undefined && partition === undefined) {
    throw new PipelineError('USAGE', '--from-offset goes with --partition: each partition counts its own');
  }
  const partitions = partition === undefined ? undefined : [partition];
  const whole = await resolveRange(client, topic, { partitions, fromMs });
  const newest = fromOffset === undefined && fromMs === undefined;
  const part = new Map([...whole].map(([p, range]) => [p, clip(range, where, newest)]));
  let kept: Kept<T>[] = [];
  const prune = () => {
    kept.sort(inTime);
    kept = newest ? kept.slice(-limit) : kept.slice(0, limit);
  };
  for await (const { partition, records } of readRange(client, topic, part)) {
    for (const record of records) {
      // Kafka's index finds where to begin; timestamps are SentTimestamps and come in any order.
      if (fromMs !== undefined && record.timestampMs < fromMs) continue;
      const { timestampMs, offset } = record;
      kept.push({ timestampMs, partition, offset, item: keep({ topic, partition, record }) });
      if (kept.length >= 2 * limit) prune();
    }
  }
  prune();
  return kept.map(({ item }) => item);
}

interface Kept<T> {
  readonly timestampMs: number;
  readonly partition: number;
  readonly offset: bigint;
  readonly item: T;
}

/** The last `limit` offsets of a partition, or the first from the offset on. */
function clip({ from, to }: OffsetRange, { fromOffset, limit }: Where, newest: boolean): OffsetRange {
  const count = BigInt(limit);
  if (newest) return { from: to - count > from ? to - count : from, to };
  const start = min(max(fromOffset ?? from, from), to);
  return { from: start, to: min(start + count, to) };
}

function inTime(a: Kept<unknown>, b: Kept<unknown>): number {
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs;
  return a.partition === b.partition ? Number(a.offset - b.offset) : a.partition - b.partition;
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
