import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fifo, mendBacklog } from '../../../services/local-stack/fauxqs-backlog.ts';

describe('Fifo', () => {
  test('is an array, as far as fauxqs asks', () => {
    const step = fc.oneof(fc.constant('shift' as const), fc.nat());
    fc.assert(
      fc.property(fc.array(fc.nat()), fc.array(step, { maxLength: 200 }), (given, steps) => {
        const array = [...given];
        const backlog = new Fifo(given);
        for (const one of steps) {
          const of = (queue: Fifo<number> | number[]) => (one === 'shift' ? queue.shift() : queue.push(one));
          expect(of(backlog)).toBe(of(array));
          expect(backlog).toHaveLength(array.length);
        }
        expect([...backlog]).toEqual(array);
      }),
    );
  });
});

test('the fauxqs that is installed is the one that is mended', async () => {
  await expect(mendBacklog()).resolves.toBeUndefined();
});
