import { expect, test } from 'vitest';
import { median, medianInterval } from './spread.ts';

const upTo = (n: number) => Array.from({ length: n }, (_, i) => n - i);

test('the median of an even number is the mean of the two in the middle', () => {
  expect(median(upTo(7))).toBe(4);
  expect(median(upTo(8))).toBe(4.5);
});

// Tables of the sign test, two-sided, 5 %.
test.each([
  [5, 1],
  [6, 1],
  [8, 1],
  [9, 2],
  [12, 3],
  [15, 4],
  [20, 6],
  [25, 8],
])('of %i numbers the interval leaves %i − 1 out on each side', (n, k) => {
  expect(medianInterval(upTo(n))).toEqual([k, n - k + 1]);
});
