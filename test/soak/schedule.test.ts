import fc from 'fast-check';
import { expect, test } from 'vitest';
import { schedule, type Round } from './schedule.ts';

const names = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 12 });

function first(count: number, from: Iterator<Round>): Round[] {
  return Array.from({ length: count }, () => from.next().value);
}

test('the same seed repeats the same schedule, a shorter run is its beginning', () => {
  fc.assert(
    fc.property(names, fc.nat(), (names, seed) => {
      const long = first(names.length * 3, schedule(names, seed));
      expect(first(names.length, schedule(names, seed))).toEqual(long.slice(0, names.length));
      expect(first(names.length * 3, schedule(names, seed))).toEqual(long);
    }),
  );
});

test('each comes once before any comes again', () => {
  fc.assert(
    fc.property(names, fc.nat(), (names, seed) => {
      const rounds = first(names.length * 2, schedule(names, seed)).map(({ fault }) => fault);
      expect(rounds.slice(0, names.length).sort()).toEqual([...names].sort());
      expect(rounds.slice(names.length).sort()).toEqual([...names].sort());
    }),
  );
});

test('another seed is another order', () => {
  const names = Array.from({ length: 12 }, (_, i) => `fault ${i}`);
  expect(first(12, schedule(names, 1))).not.toEqual(first(12, schedule(names, 2)));
});
