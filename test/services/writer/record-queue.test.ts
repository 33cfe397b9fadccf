import { describe, expect, test } from 'vitest';
import { RecordQueue, recordBytes } from '../../../services/writer/record-queue.ts';
import type { FetchedBatch, IncomingRecord } from '../../../shared/kafka/ports.ts';

function record(offset: number, bytes = 10): IncomingRecord {
  return {
    offset: BigInt(offset),
    key: Buffer.alloc(0),
    value: Buffer.alloc(bytes),
    timestampMs: 1,
    headers: {},
  };
}

function batch(partition: number, first: number, count: number, bytes = 10): FetchedBatch {
  const records = Array.from({ length: count }, (_, i) => record(first + i, bytes));
  return { topic: 't', partition, records, highWatermark: BigInt(first + count) };
}

const never = new AbortController().signal;
const alive = async () => {};
const now = { maxRecords: 1_000, maxBytes: 1e9, lingerMs: 0 };

describe('RecordQueue', () => {
  test('cuts at the record limit and keeps order within a partition', async () => {
    const queue = new RecordQueue(1e9);
    await queue.offer(batch(0, 0, 3), alive);
    await queue.offer(batch(1, 50, 3), alive);
    const first = await queue.take({ ...now, maxRecords: 4 }, never);
    const rest = await queue.take(now, never);
    const seen = (slices: typeof first) =>
      slices?.slices.map((s) => [s.partition, s.records.map((r) => Number(r.offset))]);
    expect(seen(first)).toEqual([
      [0, [0, 1, 2]],
      [1, [50]],
    ]);
    expect(seen(rest)).toEqual([[1, [51, 52]]]);
    expect(queue.records).toBe(0);
    expect(queue.bytes).toBe(0);
  });

  test('a record larger than the byte limit goes alone', async () => {
    const queue = new RecordQueue(1e9);
    await queue.offer(batch(0, 0, 2, 5_000), alive);
    const taken = await queue.take({ ...now, maxBytes: 100 }, never);
    expect(taken?.slices).toHaveLength(1);
    expect(taken?.slices[0]?.records).toHaveLength(1);
  });

  test('full means that an offer waits, heartbeating, until something is taken', async () => {
    const queue = new RecordQueue(recordBytes(record(0)));
    await queue.offer(batch(0, 0, 1), alive);
    let heartbeats = 0;
    let through = false;
    const waiting = queue
      .offer(batch(0, 1, 1), async () => {
        heartbeats += 1;
      })
      .then(() => {
        through = true;
      });
    while (heartbeats === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(through).toBe(false);
    await queue.take(now, never);
    await waiting;
    expect(queue.records).toBe(1);
  });

  test('a heartbeat that throws (a rebalance) gives up the batch', async () => {
    const queue = new RecordQueue(1);
    await queue.offer(batch(0, 0, 1), alive);
    await expect(
      queue.offer(batch(0, 1, 1), async () => {
        throw new Error('rebalancing');
      }),
    ).rejects.toThrow('rebalancing');
    expect(queue.records).toBe(1);
  });

  test('clearing drops what is queued and what waits, and marks what was taken as old', async () => {
    const queue = new RecordQueue(1);
    await queue.offer(batch(0, 0, 1), alive);
    const taken = await queue.take(now, never);
    await queue.offer(batch(0, 1, 1), alive);
    const waiting = queue.offer(batch(0, 2, 1), alive);
    queue.clear();
    await waiting;
    expect(queue.records).toBe(0);
    expect(taken?.generation).not.toBe(queue.generation);
  });

  test('nobody waits for company while nothing is busy; what the same task brings comes along', async () => {
    const queue = new RecordQueue(1e9);
    const patient = { ...now, lingerMs: 60_000 };
    const taking = queue.take(patient, never, () => false);
    await queue.offer(batch(0, 0, 1), alive);
    await queue.offer(batch(1, 0, 2), alive);
    expect((await taking)?.slices.map(({ partition }) => partition)).toEqual([0, 1]);

    let busy = true;
    let taken = false;
    const waiting = queue
      .take(patient, never, () => busy)
      .finally(() => {
        taken = true;
      });
    await queue.offer(batch(0, 1, 1), alive);
    await new Promise((resolve) => setImmediate(resolve));
    expect(taken).toBe(false);
    busy = false;
    queue.wake();
    expect((await waiting)?.slices).toHaveLength(1);
  });

  test('a stop ends a waiting take', async () => {
    const queue = new RecordQueue(1e9);
    const stop = new AbortController();
    const waiting = queue.take(now, stop.signal);
    stop.abort();
    expect(await waiting).toBeUndefined();
  });
});
