import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bounds, logPlace, roundUp, speed, ticks } from '../../../services/console/page/scale.js';
import { duration, number, rate, size } from '../../../services/console/page/words.js';

test('an axis shows every value, and is two powers of ten wide', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.002, max: 1e5, noNaN: true }), { minLength: 1, maxLength: 60 }),
      (values) => {
        const axis = bounds(values);
        expect(axis.high / axis.low).toBeGreaterThanOrEqual(99.9);
        for (const value of values) {
          expect(value).toBeGreaterThanOrEqual(axis.low * 0.999);
          expect(value).toBeLessThanOrEqual(axis.high * 1.001);
        }
        expect(ticks(axis).length).toBeLessThanOrEqual(10);
      },
    ),
  );
  expect(bounds([0.3, 4])).toEqual({ low: 0.1, high: 10 });
  expect(bounds([])).toEqual({ low: 0.01, high: 1 });
});

test('a value lies where its logarithm does, and never beside the picture', () => {
  const axis = { low: 0.1, high: 10 };
  expect(logPlace(0.1, axis)).toBe(0);
  expect(logPlace(1, axis)).toBeCloseTo(0.5);
  expect([logPlace(0, axis), logPlace(1e9, axis)]).toEqual([0, 1]);
});

test('round figures above a value', () => {
  expect([0, 1, 3, 51, 200, 4_321].map(roundUp)).toEqual([1, 1, 5, 100, 200, 5_000]);
});

test('arrows move a step faster with each power of ten, and stand still when nothing flows', () => {
  expect([null, 0, 0.5, 5, 50, 500, 50_000].map(speed)).toEqual([0, 0, 1, 2, 3, 4, 5]);
});

test('figures for people', () => {
  expect([0, 3.44, 12.4, 12_345].map(number)).toEqual(['0', '3.4', '12', '12,345']);
  expect([0.08, 3.21, 90, 600, 18_000, 300_000].map(duration)).toEqual([
    '80 ms',
    '3.2 s',
    '90 s',
    '10 min',
    '5 h',
    '3 d',
  ]);
  expect([0, 999, 1_200, 45_000_000].map(size)).toEqual(['0 B', '999 B', '1.2 kB', '45 MB']);
  expect([null, 12].map(rate)).toEqual(['–', '12/s']);
});
