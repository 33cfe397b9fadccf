import { describe, expect, test } from 'vitest';
import { Lag } from '../../../services/writer/lag.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';

const record = (offset: bigint, timestampMs: number): IncomingRecord => ({
  offset,
  key: Buffer.alloc(0),
  value: Buffer.alloc(0),
  timestampMs,
  headers: {},
});
const fetched = (partition: number, records: IncomingRecord[], highWatermark: bigint) => ({
  topic: 'raw',
  partition,
  records,
  highWatermark,
});

describe('Lag', () => {
  test('is what is not durable, and how long ago the newest durable record was sent', () => {
    let now = 10_000;
    const lag = new Lag(() => now);
    lag.assigned([0, 1]);
    expect(lag.now()).toEqual([]);
    const records = [record(5n, 1_000), record(6n, 2_000), record(7n, 3_000)];
    lag.fetched(fetched(0, records, 10n));
    expect(lag.now()).toEqual([{ partition: '0', records: 5, seconds: 9 }]);
    lag.durable(0, records.slice(0, 2));
    expect(lag.now()).toEqual([{ partition: '0', records: 3, seconds: 8 }]);
    now = 70_000;
    expect(lag.now()).toEqual([{ partition: '0', records: 3, seconds: 68 }]);
    lag.durable(0, [record(9n, 60_000)]);
    expect(lag.now()).toEqual([{ partition: '0', records: 0, seconds: 0 }]);
  });

  test('batches become durable in any order', () => {
    const lag = new Lag(() => 10_000);
    lag.assigned([0]);
    lag.fetched(fetched(0, [record(0n, 0)], 10n));
    lag.durable(0, [record(8n, 8_000)]);
    lag.durable(0, [record(3n, 3_000)]);
    expect(lag.now()).toEqual([{ partition: '0', records: 1, seconds: 2 }]);
  });

  test('grows while nothing is fetched, for Kafka is asked; an answer that fails changes nothing', async () => {
    const lag = new Lag(() => 10_000);
    lag.assigned([0, 1]);
    const stop = new AbortController();
    const following = lag.follow(() => {
      stop.abort();
      return Promise.resolve(
        new Map([
          [0, { end: 30n, next: 10n }],
          [1, { end: 4n, next: 4n }],
          [7, { end: 99n, next: 0n }],
        ]),
      );
    }, stop.signal);
    await following;
    expect(lag.now()).toEqual([
      { partition: '0', records: 20, seconds: undefined },
      { partition: '1', records: 0, seconds: 0 },
    ]);
    const again = new AbortController();
    await lag.follow(() => {
      again.abort();
      return Promise.reject(new Error('away'));
    }, again.signal);
    expect(lag.now()).toHaveLength(2);
  });

  test('of partitions that went to another writer nothing is told', () => {
    const lag = new Lag(() => 10_000);
    lag.assigned([0]);
    lag.fetched(fetched(0, [record(0n, 0)], 10n));
    lag.assigned([1]);
    lag.durable(0, [record(0n, 0)]);
    expect(lag.now()).toEqual([]);
    expect(lag.partitions).toBe(1);
  });
});
