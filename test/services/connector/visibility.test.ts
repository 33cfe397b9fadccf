import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { noCounts, type Held } from '../../../services/connector/held.ts';
import { Outage } from '../../../shared/outage.ts';
import { holdLimitMs, Visibility } from '../../../services/connector/visibility.ts';
import { FakeQueue } from '../../helpers/fake-queue.ts';
import { held, never, quiet } from './fixtures.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

async function setUp(messages: number) {
  const queue = new FakeQueue({ clock: Date.now, visibilityTimeoutSeconds: 30 });
  const ids = Array.from({ length: messages }, (_, i) => queue.send(`body ${i}`));
  const counts = noCounts();
  const state = { stalled: false };
  const visibility = new Visibility({
    queue,
    timeoutSeconds: 30,
    clock: Date.now,
    counts,
    outage: new Outage('sqs', { log: quiet }),
    stalled: () => state.stalled,
  });
  const items: Held[] = [];
  while (items.length < messages) {
    for (const message of await queue.receive({ max: 10, waitSeconds: 0, signal: never })) {
      const item = held(message.receiptHandle, Date.now());
      items.push(item);
      visibility.add(item);
    }
  }
  const stop = new AbortController();
  const running = visibility.run(stop.signal);
  const changes = () => queue.calls.filter((call) => call.call === 'changeVisibility');
  return { queue, ids, items, visibility, counts, state, changes, stop, running };
}

describe('Visibility', () => {
  test('what is deleted within a third of the timeout costs no call', async () => {
    const { items, visibility, changes } = await setUp(20);
    await vi.advanceTimersByTimeAsync(9_000);
    for (const item of items) visibility.remove(item);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(changes()).toEqual([]);
  });

  test('what is held on to stays invisible for as long as it is held, in calls of ten', async () => {
    const { queue, changes } = await setUp(25);
    for (let minute = 0; minute < 10; minute++) {
      await vi.advanceTimersByTimeAsync(60_000);
      expect(queue.inFlight).toBe(25);
    }
    expect(changes().every((call) => call.seconds === 30 && call.receipts.length <= 10)).toBe(true);
    // Three calls a third of the timeout, not more.
    expect(changes().length).toBeLessThanOrEqual(3 * 60);
  });

  test('a failing extension is tried again before the timeout runs out', async () => {
    const { queue, items, changes } = await setUp(3);
    queue.outages.set('changeVisibility', 'SQS_UNAVAILABLE');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(changes().length).toBeGreaterThan(1);
    queue.outages.clear();
    queue.entryFailures.set(items[0]?.receiptHandle ?? '', [{ code: 'InternalError', senderFault: false }]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(queue.inFlight).toBe(3);
  });

  test('a receipt that SQS has forgotten is gone for good, and counted once', async () => {
    const { queue, ids, items, counts, visibility, changes } = await setUp(1);
    queue.redeliver(ids[0] ?? '');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(items[0]?.state).toBe('gone');
    expect(counts.expired).toBe(1);
    const before = changes().length;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(changes()).toHaveLength(before);
    expect(visibility.size).toBe(1);
  });

  test('an outage that lasts hands back what is not published, once; what is published is still extended', async () => {
    const { queue, items, counts, state, changes } = await setUp(12);
    const [published, ...others] = items;
    if (published !== undefined) published.state = 'published';
    state.stalled = true;
    await vi.advanceTimersByTimeAsync(holdLimitMs - 1_000);
    expect(counts.returned).toBe(0);
    expect(queue.inFlight).toBe(12);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(counts.returned).toBe(11);
    expect(queue.inFlight).toBe(1);
    expect(others.every((item) => item.state === 'gone')).toBe(true);
    const given = changes().filter((call) => call.seconds === 0);
    expect(given.flatMap((call) => call.receipts)).toHaveLength(11);
  });

  test('without an outage, slow is not a reason to hand back', async () => {
    const { queue, counts } = await setUp(5);
    await vi.advanceTimersByTimeAsync(10 * holdLimitMs);
    expect(counts.returned).toBe(0);
    expect(queue.inFlight).toBe(5);
  });

  test('handing back everything leaves out what is published or gone', async () => {
    const { queue, items, visibility, counts } = await setUp(15);
    const [published, gone] = items;
    if (published !== undefined) published.state = 'published';
    if (gone !== undefined) gone.state = 'gone';
    await visibility.handBackAll();
    expect(counts.returned).toBe(13);
    expect(queue.inFlight).toBe(2);
  });

  test('a missing right ends the run with its error', async () => {
    const { queue, running } = await setUp(1);
    queue.outages.set('changeVisibility', 'SQS_FORBIDDEN');
    const [outcome] = await Promise.all([
      running.catch((error: unknown) => error),
      vi.advanceTimersByTimeAsync(15_000),
    ]);
    expect(outcome).toMatchObject({ code: 'SQS_FORBIDDEN' });
  });
});
