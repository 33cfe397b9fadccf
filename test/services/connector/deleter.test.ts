import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deleter } from '../../../services/connector/deleter.ts';
import type { Held } from '../../../services/connector/held.ts';
import { Outage } from '../../../shared/outage.ts';
import { FakeQueue } from '../../helpers/fake-queue.ts';
import { held, never, quiet } from './fixtures.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

async function setUp(messages: number, { force = never, fifo = false } = {}) {
  const queue = new FakeQueue({ clock: Date.now, visibilityTimeoutSeconds: 600 });
  for (let i = 0; i < messages; i++) queue.send(`body ${i}`);
  const items: Held[] = [];
  while (items.length < messages) {
    const received = await queue.receive({ max: 10, waitSeconds: 0, signal: never });
    items.push(...received.map((message) => held(message.receiptHandle)));
  }
  const done: Record<'deleted' | 'expired', Held[]> = { deleted: [], expired: [] };
  const fatal: unknown[] = [];
  const deleter = new Deleter({
    queue,
    fifo,
    outage: new Outage('sqs', { log: quiet }),
    force,
    onDone: (batch, outcome) => done[outcome].push(...batch),
    onFatal: (error) => fatal.push(error),
  });
  const deletes = () => queue.calls.filter((call) => call.call === 'delete').map((call) => call.receipts);
  return { queue, items, deleter, done, fatal, deletes };
}

describe('Deleter', () => {
  test.each([
    { kind: 'standard', fifo: false, ms: 50 },
    { kind: 'FIFO, whose groups wait for it', fifo: true, ms: 5 },
  ])('deletes in tens, and what is left over after $ms ms ($kind)', async ({ fifo, ms }) => {
    const { queue, items, deleter, done, deletes } = await setUp(25, { fifo });
    for (const item of items) deleter.add([item]);
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(deletes().map((batch) => batch.length)).toEqual([10, 10]);
    await vi.advanceTimersByTimeAsync(1);
    expect(deletes().map((batch) => batch.length)).toEqual([10, 10, 5]);
    expect(queue.remaining).toBe(0);
    expect(done.deleted).toHaveLength(25);
  });

  test('retries what the answer lists as failed, and only that', async () => {
    const { queue, items, deleter, done, deletes } = await setUp(10);
    const stubborn = items[3]?.receiptHandle ?? '';
    const failure = { code: 'InternalError', senderFault: false };
    queue.entryFailures.set(stubborn, [failure, failure]);
    deleter.add(items);
    await deleterSettles(deleter);
    expect(deletes()).toEqual([items.map((item) => item.receiptHandle), [stubborn], [stubborn]]);
    expect(done.deleted).toHaveLength(10);
    expect(new Set(done.deleted).size).toBe(10);
    expect(done.expired).toEqual([]);
    expect(queue.remaining).toBe(0);
  });

  test('gives up a receipt that SQS calls invalid: counted once, not retried', async () => {
    const { items, deleter, done, deletes } = await setUp(3);
    deleter.add([...items, held('stale')]);
    await deleterSettles(deleter);
    expect(deletes()).toHaveLength(1);
    expect(done.expired.map((item) => item.receiptHandle)).toEqual(['stale']);
    expect(done.deleted).toHaveLength(3);
  });

  test('an outage is waited out: everything is deleted after it', async () => {
    const { queue, items, deleter, done } = await setUp(200);
    queue.outages.set('delete', 'SQS_UNAVAILABLE');
    deleter.add(items);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(done.deleted).toHaveLength(0);
    queue.outages.clear();
    await deleterSettles(deleter);
    expect(done.deleted).toHaveLength(200);
    expect(queue.remaining).toBe(0);
  });

  test('close waits for a retry under way; force ends the wait', async () => {
    const force = new AbortController();
    const { queue, items, deleter, done, fatal } = await setUp(5, { force: force.signal });
    queue.outages.set('delete', 'SQS_UNAVAILABLE');
    deleter.add(items);
    let closed = false;
    const closing = deleter.close().then(() => (closed = true));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(closed).toBe(false);
    force.abort();
    await closing;
    expect(done.deleted).toEqual([]);
    expect(fatal).toEqual([]);
  });

  test('a missing right is fatal, and closing does not hang on it', async () => {
    const { queue, items, deleter, fatal } = await setUp(5);
    queue.outages.set('delete', 'SQS_FORBIDDEN');
    deleter.add(items);
    await deleterSettles(deleter);
    expect(fatal).toMatchObject([{ code: 'SQS_FORBIDDEN' }]);
  });
});

async function deleterSettles(deleter: Deleter): Promise<void> {
  const closing = deleter.close();
  await vi.advanceTimersByTimeAsync(10_000);
  await closing;
}
