import { expect, test } from 'vitest';
import { OldestAge } from '../../../services/connector/oldest-age.ts';

const minuteMs = 60_000;
const counts = (visible: number) => ({
  visible,
  inFlight: 0,
  delayed: 0,
  fifo: false,
  visibilityTimeoutSeconds: 30,
});

function setUp() {
  const time = { now: 10 * minuteMs };
  return { time, oldest: new OldestAge(() => time.now) };
}

test('the oldest of the last minute, then what comes after it', () => {
  const { time, oldest } = setUp();
  expect(oldest.ageMs).toBeUndefined();
  oldest.received(time.now - 5_000);
  oldest.received(time.now - 1_000);
  expect(oldest.ageMs).toBe(5_000);
  time.now += minuteMs;
  oldest.received(time.now - 200);
  expect(oldest.ageMs).toBe(200);
});

test('grows while the queue has messages and none comes', () => {
  const { time, oldest } = setUp();
  oldest.received(time.now - 1_000);
  oldest.counted(counts(7));
  time.now += 5 * minuteMs;
  expect(oldest.ageMs).toBe(5 * minuteMs + 1_000);
});

test('an empty queue is 0; a clock that is behind makes no age negative', () => {
  const { time, oldest } = setUp();
  oldest.received(time.now + 9_000);
  expect(oldest.ageMs).toBe(0);
  oldest.received(time.now - 9_000);
  oldest.counted(counts(0));
  expect(oldest.ageMs).toBe(0);
});
