import type { KafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { recordSize } from '../../shared/kafka/record-size.ts';
import { readRange, type RangeBatch } from '../../shared/kafka/read-range.ts';
import type { PartitionRange } from './offset-ranges.ts';

/** Records of one partition that go into Postgres together. */
export interface RecordBatch {
  readonly records: readonly IncomingRecord[];
  /** The last offset that is dealt with once they are: of the last of them, or of the range. */
  readonly last: bigint;
  /** Offsets before it that retention had taken. */
  readonly missed: bigint;
}

/** Less than the writer's, for several ranges are read at once. */
const maxFetchBytes = 524_288;
/** Of keys and values. */
const maxBatchBytes = 4_194_304;

/** The records of a range, read from Kafka, in batches that cover it. @throws PipelineError as {@link readRange} */
export function readBatches(
  client: KafkaClient,
  topic: string,
  range: PartitionRange,
  options: BatchOptions & { readonly signal: AbortSignal },
): AsyncGenerator<RecordBatch, void, undefined> {
  const ranges = new Map([[range.partition, range]]);
  const { signal } = options;
  const fetched = readRange(client, topic, ranges, { signal, maxBytesPerPartition: maxFetchBytes });
  return batchesOf(fetched, range, options);
}

export interface BatchOptions {
  /** Asked before each batch. */
  readonly maxRecords: () => number;
}

/**
 * What was fetched of a range, in batches of `maxRecords`, which may change on the way. **Together they cover the range without a gap and without one that
 * covers nothing**: the last one ends where it does, be there records or not.
 */
export async function* batchesOf(
  fetched: AsyncIterable<Pick<RangeBatch, 'records' | 'nextOffset' | 'missed'>>,
  range: PartitionRange,
  { maxRecords }: BatchOptions,
): AsyncGenerator<RecordBatch, void, undefined> {
  let waiting: IncomingRecord[] = [];
  let missed = 0n;
  let next = range.from;
  let covered = range.from;
  const take = (count: number, last: bigint): RecordBatch => {
    const batch = { records: waiting.slice(0, count), last, missed };
    waiting = waiting.slice(count);
    missed = 0n;
    covered = last + 1n;
    return batch;
  };
  for await (const { records, nextOffset, missed: gone } of fetched) {
    for (const record of records) waiting.push(record);
    missed += gone;
    next = nextOffset;
    for (let count = full(waiting, maxRecords()); count > 0; count = full(waiting, maxRecords())) {
      yield take(count, waiting[count - 1]?.offset ?? next - 1n);
    }
  }
  // Cut short, what is left over belongs to whoever goes on.
  if (next === range.to && covered < range.to) yield take(waiting.length, range.to - 1n);
}

/** How many of them make a batch; 0: not yet enough. */
function full(waiting: readonly IncomingRecord[], maxRecords: number): number {
  let bytes = 0;
  for (const [index, record] of waiting.entries()) {
    bytes += recordSize(record);
    if (index + 1 === maxRecords || bytes >= maxBatchBytes) return index + 1;
  }
  return 0;
}
