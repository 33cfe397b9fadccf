import { expect, test } from 'vitest';
import { LastingHoles } from '../../../services/maintenance/lasting-holes.ts';

const run = (partition: number, first_offset: string) => ({ partition, first_offset });
const whole = [run(0, '0'), run(1, '7')];
const minute = 60_000;

test('a hole counts once it has been there for five minutes, however often one looks', () => {
  const holes = new LastingHoles();
  const torn = [run(0, '0'), run(0, '10'), run(1, '7')];
  expect(holes.look(torn, 0)).toBe(0);
  expect(holes.any).toBe(true);
  expect(holes.look(torn, 5 * minute - 1)).toBe(0);
  expect(holes.look(torn, 5 * minute)).toBe(1);
  expect(holes.look(torn, 60 * minute)).toBe(1);
});

test('one that closes is forgotten, and one elsewhere begins anew', () => {
  const holes = new LastingHoles();
  holes.look([run(0, '0'), run(0, '10')], 0);
  expect(holes.look(whole, 4 * minute)).toBe(0);
  expect(holes.any).toBe(false);
  expect(holes.look([run(0, '0'), run(0, '10'), run(0, '20')], 6 * minute)).toBe(0);
  expect(holes.look([run(0, '0'), run(0, '20'), run(1, '3'), run(1, '9')], 11 * minute)).toBe(1);
});

test('a ledger without holes has none, also when a topic does not begin at 0', () => {
  const holes = new LastingHoles();
  expect(holes.look([], 0)).toBe(0);
  expect(holes.look(whole, 0)).toBe(0);
  expect(holes.look(whole, 10 * minute)).toBe(0);
  expect(holes.any).toBe(false);
});
