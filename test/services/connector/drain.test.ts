import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Drain } from '../../../services/connector/drain.ts';
import { Pace } from '../../../shared/pace.ts';
import type { QueueMessage } from '../../../shared/sqs/ports.ts';
import { FakeQueue } from '../../helpers/fake-queue.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const never = new AbortController().signal;

function setUp(options: { wanted?: (message: QueueMessage) => boolean; limit?: number } = {}) {
  const queue = new FakeQueue({ clock: Date.now, visibilityTimeoutSeconds: 3 });
  const drain = new Drain({
    queue,
    wanted: options.wanted ?? (() => true),
    limit: options.limit ?? Infinity,
    pace: new Pace(Infinity),
  });
  /** Takes what comes until the drain is over; deletes it unless told not to. */
  const run = async (deletes = true) => {
    const taken: string[] = [];
    const running = (async () => {
      while (!drain.over.aborted) {
        const messages = await drain.receive({ max: 10, signal: never });
        taken.push(...messages.map(({ body }) => body));
        if (deletes) await drain.delete(messages.map(({ receiptHandle }) => receiptHandle));
      }
    })();
    let ended = false;
    void running.then(() => {
      ended = true;
    });
    for (let i = 0; i < 100 && !ended; i++) await vi.advanceTimersByTimeAsync(1_000);
    expect(ended).toBe(true);
    return taken;
  };
  return { queue, drain, run };
}

describe('Drain', () => {
  test('hands over everything once and is over', async () => {
    const { queue, run } = setUp();
    for (let i = 0; i < 25; i++) queue.send(String(i));
    expect(new Set(await run())).toEqual(new Set(Array.from({ length: 25 }, (_, i) => String(i))));
    expect(queue.remaining).toBe(0);
  });

  test('what is not wanted stays, is not handed over however often it comes, and is visible again at the end', async () => {
    const { queue, drain, run } = setUp({ wanted: ({ body }) => body === 'wanted' });
    for (let i = 0; i < 12; i++) queue.send('other');
    queue.send('wanted');
    expect(await run()).toEqual(['wanted']);
    expect(queue.remaining).toBe(12);
    await drain.handBackOthers();
    expect(queue.inFlight).toBe(0);
  });

  test('what is not deleted and comes again does not keep it looking', async () => {
    const { queue, run } = setUp();
    queue.send('stays');
    const taken = await run(false);
    expect(new Set(taken)).toEqual(new Set(['stays']));
    expect(queue.remaining).toBe(1);
  });

  test('ends at its limit', async () => {
    const { queue, run } = setUp({ limit: 13 });
    for (let i = 0; i < 30; i++) queue.send(String(i));
    expect(await run()).toHaveLength(13);
    expect(queue.remaining).toBe(17);
    expect(queue.inFlight).toBe(0);
  });
});
