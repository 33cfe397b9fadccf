import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Budget, type Share } from '../../../services/connector/budget.ts';

const limit: Share = { messages: 10, bytes: 100 };
const never = new AbortController().signal;
const share = fc.record({
  messages: fc.integer({ min: 0, max: 10 }),
  bytes: fc.integer({ min: 0, max: 100 }),
});
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('reserve' as const), share }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), pick: fc.nat() }) },
);

describe('Budget', () => {
  test('what is reserved never exceeds either limit, adds up, and ends at zero', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const budget = new Budget(limit);
        const granted: Share[] = [];
        const pending: AbortController[] = [];
        const settled: Promise<unknown>[] = [];
        for (const action of steps) {
          if (action.kind === 'reserve') {
            const abort = new AbortController();
            pending.push(abort);
            settled.push(
              budget.reserve(action.share, abort.signal).then((ok) => {
                pending.splice(pending.indexOf(abort), 1);
                if (ok) granted.push(action.share);
              }),
            );
          } else if (action.kind === 'release' && granted.length > 0) {
            const [returned] = granted.splice(action.pick % granted.length, 1);
            if (returned !== undefined) budget.release(returned);
          } else if (action.kind === 'abort' && pending.length > 0) {
            pending[action.pick % pending.length]?.abort();
          }
          await new Promise(setImmediate);
          expect(budget.used.messages).toBeLessThanOrEqual(limit.messages);
          expect(budget.used.bytes).toBeLessThanOrEqual(limit.bytes);
          expect(budget.used).toEqual(sum(granted));
        }
        // Whoever still waits is served once the others have given back: nobody is forgotten.
        while (granted.length > 0 || pending.length > 0) {
          expect(granted.length).toBeGreaterThan(0);
          for (const returned of granted.splice(0)) budget.release(returned);
          await new Promise(setImmediate);
        }
        await Promise.all(settled);
        expect(budget.used).toEqual({ messages: 0, bytes: 0 });
      }),
      { numRuns: 200 },
    );
  });

  test('a large request that waits is not overtaken by small ones that would fit', async () => {
    const budget = new Budget(limit);
    await budget.reserve({ messages: 5, bytes: 50 }, never);
    const order: string[] = [];
    void budget.reserve({ messages: 10, bytes: 10 }, never).then(() => order.push('large'));
    void budget.reserve({ messages: 1, bytes: 1 }, never).then(() => order.push('small'));
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    budget.release({ messages: 5, bytes: 50 });
    await new Promise(setImmediate);
    expect(order).toEqual(['large']);
    budget.release({ messages: 10, bytes: 10 });
    await new Promise(setImmediate);
    expect(order).toEqual(['large', 'small']);
  });

  test('who waits first is served before those that came earlier, in order among themselves', async () => {
    const budget = new Budget(limit);
    await budget.reserve({ messages: 5, bytes: 100 }, never);
    const order: string[] = [];
    const wait = (name: string, wanted: Share, first: boolean) =>
      void budget.reserve(wanted, never, { first }).then(() => order.push(name));
    wait('poll', { messages: 10, bytes: 10 }, false);
    wait('answer', { messages: 0, bytes: 60 }, true);
    wait('small answer', { messages: 0, bytes: 1 }, true);
    budget.release({ messages: 0, bytes: 50 });
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    budget.release({ messages: 0, bytes: 50 });
    await new Promise(setImmediate);
    expect(order).toEqual(['answer', 'small answer']);
    budget.release({ messages: 5, bytes: 61 });
    await new Promise(setImmediate);
    expect(order).toEqual(['answer', 'small answer', 'poll']);
  });

  test('a waiter that gives up lets the next one through', async () => {
    const budget = new Budget(limit);
    await budget.reserve({ messages: 5, bytes: 50 }, never);
    const impatient = new AbortController();
    const large = budget.reserve({ messages: 10, bytes: 10 }, impatient.signal);
    const small = budget.reserve({ messages: 1, bytes: 1 }, never);
    impatient.abort();
    await expect(large).resolves.toBe(false);
    await expect(small).resolves.toBe(true);
  });

  test('more bytes than were reserved count all the same and hold up the next reservation', async () => {
    const budget = new Budget(limit);
    await budget.reserve({ messages: 10, bytes: 90 }, never);
    budget.release({ messages: 9, bytes: -30 });
    expect(budget.used).toEqual({ messages: 1, bytes: 120 });
    let granted = false;
    void budget.reserve({ messages: 1, bytes: 1 }, never).then(() => (granted = true));
    await new Promise(setImmediate);
    expect(granted).toBe(false);
    budget.release({ messages: 1, bytes: 120 });
    await new Promise(setImmediate);
    expect(granted).toBe(true);
  });
});

function sum(shares: readonly Share[]): Share {
  return shares.reduce((a, b) => ({ messages: a.messages + b.messages, bytes: a.bytes + b.bytes }), {
    messages: 0,
    bytes: 0,
  });
}
