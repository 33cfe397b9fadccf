import fc from 'fast-check';
import { expect, test } from 'vitest';
import { percentilesOf } from '../../../services/console/look/percentiles.ts';
import { Rate } from '../../../services/console/look/rate.ts';

test('of a hundred values, the fiftieth, the ninety-fifth and the ninety-ninth', () => {
  const values = Array.from({ length: 100 }, (_, i) => ({ value: 100 - i, weight: 1 }));
  expect(percentilesOf(values)).toEqual({ p50: 50, p95: 95, p99: 99 });
  expect(percentilesOf([])).toBeNull();
});

test('a value of weight n counts like n of them', () => {
  const value = fc.record({ value: fc.integer({ min: 0, max: 50 }), weight: fc.integer({ min: 1, max: 9 }) });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 40 }), (samples) => {
      const each = samples.flatMap((one) =>
        Array.from({ length: one.weight }, () => ({ ...one, weight: 1 })),
      );
      expect(percentilesOf(samples)).toEqual(percentilesOf(each));
    }),
  );
});

test('a rate takes two looks, and is of the last ten seconds', () => {
  const rate = new Rate();
  expect(rate.add(0, 1_000)).toBeNull();
  expect(rate.add(2_000, 1_020)).toBe(10);
  // It has stood still since.
  for (let at = 4_000; at <= 12_000; at += 2_000) rate.add(at, 1_020);
  expect(rate.add(14_000, 1_020)).toBe(0);
});
