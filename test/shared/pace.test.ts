import { expect, test } from 'vitest';
import { Pace } from '../../shared/pace.ts';

function paced(perSecond: number) {
  let now = 1_000_000;
  const sleeping = {
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
  };
  const pace = new Pace(perSecond, sleeping);
  return { pace, elapsed: () => now - 1_000_000, pass: (ms: number) => (now += ms) };
}

test('so many a second and no more', async () => {
  const { pace, elapsed } = paced(100);
  for (let i = 0; i < 101; i++) await pace.take(10);
  expect(elapsed()).toBe(10_000);
});

test('no burst to catch up after having been held up', async () => {
  const { pace, elapsed, pass } = paced(10);
  await pace.take(1);
  pass(60_000);
  const from = elapsed();
  for (let i = 0; i < 11; i++) await pace.take(1);
  expect(elapsed() - from).toBe(1_000);
});

test('no limit: no wait', async () => {
  const { pace, elapsed } = paced(Infinity);
  for (let i = 0; i < 1_000; i++) await pace.take(1_000);
  expect(elapsed()).toBe(0);
  expect([new Pace(3).share, new Pace(500).share, new Pace(1e6).share, pace.share]).toEqual([
    1, 50, 1_000, 1_000,
  ]);
});
