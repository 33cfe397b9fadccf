import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Admission, RecentSizes } from '../../../services/connector/admission.ts';
import { Budget } from '../../../services/connector/budget.ts';

const mib = 1_048_576;
const never = new AbortController().signal;

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

async function begin(budget: Budget): Promise<Admission> {
  const admission = await Admission.begin(budget, new RecentSizes(), never);
  if (admission === undefined) throw new Error('not begun');
  return admission;
}

/** Somebody else has all the bytes there are. */
async function beginWithoutRoom(bytes: number) {
  const budget = new Budget({ messages: 100, bytes });
  const admission = await begin(budget);
  await budget.reserve({ messages: 1, bytes }, never);
  return { budget, admission };
}

describe('RecentSizes', () => {
  test('asks for two until it knows, for ten small ones soon, and for few at once when one answer was large', () => {
    const sizes = new RecentSizes();
    expect(sizes.max).toBe(2);
    for (let i = 0; i < 4; i++) sizes.received(2, 2 * 2_300);
    expect(sizes.max).toBe(10);
    sizes.received(10, 10 * mib);
    expect(sizes.max).toBe(2);
    sizes.received(1, 3 * mib);
    expect(sizes.max).toBe(1);
  });
});

describe('Admission', () => {
  test('a poll takes messages and no bytes; its answer takes twice its size, and then what it brought', async () => {
    const budget = new Budget({ messages: 100, bytes: 10 * mib });
    const admission = await begin(budget);
    expect(budget.used).toEqual({ messages: 2, bytes: 0 });
    expect(await admission.admit(mib, never)).toBe(true);
    expect(budget.used.bytes).toBeGreaterThanOrEqual(2 * mib);
    // The connection broke, and the call is made again.
    expect(await admission.admit(2 * mib, never)).toBe(true);
    expect(budget.used.bytes).toBeLessThan(5 * mib);
    admission.settle(1, 1_000);
    expect(budget.used).toEqual({ messages: 1, bytes: 1_000 });
  });

  test('answers wait for one another and never for a poll; the largest is read when nothing else is held', async () => {
    const budget = new Budget({ messages: 100, bytes: 10 * mib });
    const [first, second, polling] = [await begin(budget), await begin(budget), await begin(budget)];
    expect(await first.admit(4 * mib, never)).toBe(true);
    const waiting = second.admit(30 * mib, never);
    first.settle(1, mib);
    budget.release({ messages: 1, bytes: mib });
    expect(await waiting).toBe(true);
    expect(budget.used.bytes).toBe(10 * mib);
    second.settle(0, 0);
    polling.settle(0, 0);
    expect(budget.used).toEqual({ messages: 0, bytes: 0 });
  });

  test('an answer that finds no room is left unread, and gives back what it had', async () => {
    const { budget, admission } = await beginWithoutRoom(4 * mib);
    const admitted = admission.admit(undefined, never);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await admitted).toBe(false);
    admission.settle(0, 0);
    expect(budget.used).toEqual({ messages: 1, bytes: 4 * mib });
  });

  test('an answer whose connection broke while it waited neither takes what comes free nor stands before the next', async () => {
    const { budget, admission } = await beginWithoutRoom(8 * mib);
    const broken = admission.admit(mib, never);
    const again = admission.admit(mib, never);
    expect(await broken).toBe(false);
    budget.release({ messages: 1, bytes: 8 * mib });
    expect(await again).toBe(true);
    admission.settle(1, 1_000);
    expect(budget.used).toEqual({ messages: 1, bytes: 1_000 });
  });

  test('room that came in the moment in which the answer broke is given back', async () => {
    const { budget, admission } = await beginWithoutRoom(8 * mib);
    const broken = admission.admit(mib, never);
    budget.release({ messages: 1, bytes: 8 * mib });
    admission.settle(0, 0);
    expect(await broken).toBe(false);
    expect(budget.used).toEqual({ messages: 0, bytes: 0 });
  });
});
