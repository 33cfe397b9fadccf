import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { drain, harness, topic, type Harness } from './harness.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('FIFO queues', () => {
  test('a group stays in one partition; the MessageId travels in a header', async () => {
    const connector = harness({ fifo: true });
    const id = connector.queue.send('one', { groupId: 'user-1' });
    connector.start();
    await vi.advanceTimersByTimeAsync(1_000);
    await drain(connector);
    const [record] = connector.kafka.partitions(topic).flat();
    expect(record?.key.toString()).toBe('user-1');
    expect(record?.headers).toEqual({ 'message-id': Buffer.from(id) });
  });

  test('the order of a group survives failing batches, lost acknowledgements and redelivery', async () => {
    const fate = fc.constantFrom('ack' as const, 'fail' as const, 'lost' as const);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 80 }),
        fc.array(fate, { maxLength: 40 }),
        fc.nat({ max: 200 }),
        async (groups, fates, outageMs) => {
          const connector = harness({ fifo: true, visibilityTimeoutSeconds: 3 });
          let batches = 0;
          connector.fate = () => fates[batches++] ?? 'ack';
          groups.forEach((group, i) => connector.queue.send(`${group}:${i}`, { groupId: `g${group}` }));
          connector.start();
          await vi.advanceTimersByTimeAsync(outageMs);
          // Extensions fail for longer than the timeout: what is held expires and is delivered again.
          connector.queue.outages.set('changeVisibility', 'SQS_UNAVAILABLE');
          await vi.advanceTimersByTimeAsync(4_000);
          connector.queue.outages.clear();
          await vi.advanceTimersByTimeAsync(60_000);
          expect(connector.queue.remaining).toBe(0);
          await drain(connector);
          groupsInOrder(connector, groups);
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** First occurrences: what a repeated record adds is a no-op for every reader downstream. */
function groupsInOrder(connector: Harness, groups: readonly number[]): void {
  for (const group of new Set(groups)) {
    const sent = groups.flatMap((of, i) => (of === group ? [`${group}:${i}`] : []));
    const holding = connector.records().filter((log) => log.some((text) => text.startsWith(`${group}:`)));
    expect(holding).toHaveLength(1);
    const arrived = new Set(holding.flat().filter((text) => text.startsWith(`${group}:`)));
    expect([...arrived]).toEqual(sent);
  }
}
