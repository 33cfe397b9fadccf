import { describe, expect, test } from 'vitest';
import { Governor } from '../../../services/replayer/governor.ts';

/** A governor in time that passes only when somebody sleeps. */
function governed(limits: Partial<ConstructorParameters<typeof Governor>[0]>) {
  let now = 0;
  const sleep = (ms: number) => {
    now += ms;
    return Promise.resolve();
  };
  const governor = new Governor(
    { perSecond: Infinity, maxLiveLag: undefined, maxLatencyMs: undefined, ...limits },
    { now: () => now, sleep },
  );
  const pass = (ms: number) => {
    now += ms;
  };
  return { governor, pass, now: () => now };
}

const { signal } = new AbortController();

describe('Governor', () => {
  test('without limits it holds nothing back', async () => {
    const { governor, now } = governed({});
    for (let i = 0; i < 100; i += 1) await governor.take(5_000, signal);
    expect(now()).toBe(0);
    expect(governor).toMatchObject({ perSecond: Infinity, batchRecords: 5_000, heldBy: undefined });
    governor.lagSeen(1e9);
    governor.latencySeen(1e9);
    expect(governor).toMatchObject({ perSecond: Infinity, heldBy: undefined });
  });

  test('a rate is kept to, in small batches', async () => {
    const { governor, now } = governed({ perSecond: 10_000 });
    expect(governor.batchRecords).toBe(100);
    for (let i = 0; i < 100; i += 1) await governor.take(100, signal);
    expect(now()).toBeCloseTo(990);
  });

  test('it grows while all is well, to its limit, and halves when a commit is slow, once a second', () => {
    const { governor, pass } = governed({ perSecond: 5_000, maxLatencyMs: 20 });
    expect(governor.perSecond).toBe(2_000);
    for (let i = 0; i < 50; i += 1) governor.latencySeen(3);
    expect(governor.perSecond).toBe(5_000);
    governor.latencySeen(21);
    governor.latencySeen(30);
    expect(governor).toMatchObject({ perSecond: 2_500, heldBy: 'latency' });
    pass(1_000);
    governor.latencySeen(30);
    expect(governor.perSecond).toBe(1_250);
    for (let i = 0; i < 50; i += 1) {
      pass(1_000);
      governor.latencySeen(30);
    }
    expect(governor.perSecond).toBe(100);
    governor.latencySeen(3);
    expect(governor).toMatchObject({ heldBy: undefined });
    expect(governor.perSecond).toBeGreaterThan(100);
  });

  test('far behind, live writers stop it until they have caught up', async () => {
    const { governor, now } = governed({ maxLiveLag: 1_000 });
    governor.lagSeen(1_500);
    expect(governor).toMatchObject({ perSecond: 1_000, heldBy: 'live lag' });
    governor.latencySeen(1);
    expect(governor).toMatchObject({ perSecond: 1_000, heldBy: 'live lag' });
    governor.lagSeen(2_001);
    expect(governor.perSecond).toBe(0);
    governor.lagSeen(1_001);
    expect(governor.perSecond).toBe(0);
    const taking = governor.take(1, signal);
    governor.lagSeen(1_000);
    await taking;
    expect(now()).toBeLessThan(1_000);
    governor.latencySeen(1);
    expect(governor.heldBy).toBeUndefined();
  });
});
