import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Watermark } from '../../../services/writer/watermark.ts';

describe('Watermark', () => {
  test('waits for the earlier range', () => {
    const watermark = new Watermark();
    const first = watermark.take(3, 9n);
    const second = watermark.take(3, 19n);
    const third = watermark.take(3, 30n);
    second();
    expect(watermark.position.get(3)).toBeUndefined();
    first();
    expect(watermark.position.get(3)).toBe(20n);
    third();
    expect(watermark.position.get(3)).toBe(31n);
  });

  test('what was taken under an earlier assignment moves nothing', () => {
    const watermark = new Watermark();
    const stale = watermark.take(0, 99n);
    watermark.reset();
    const fresh = watermark.take(0, 9n);
    stale();
    expect(watermark.position.size).toBe(0);
    fresh();
    expect(watermark.position.get(0)).toBe(10n);
  });

  test('in whatever order ranges become durable, no position passes one that is not', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ partition: fc.nat(3), length: fc.integer({ min: 1, max: 5 }), rank: fc.nat(1000) }),
          {
            maxLength: 40,
          },
        ),
        (ranges) => {
          const watermark = new Watermark();
          const next = new Map<number, bigint>();
          const taken = ranges.map(({ partition, length, rank }) => {
            const first = next.get(partition) ?? 0n;
            const last = first + BigInt(length) - 1n;
            next.set(partition, last + 1n);
            return { partition, first, last, rank, done: watermark.take(partition, last), durable: false };
          });
          for (const range of [...taken].sort((a, b) => a.rank - b.rank)) {
            range.done();
            range.durable = true;
            for (const partition of next.keys()) {
              const firstOpen = taken.find((one) => one.partition === partition && !one.durable);
              const position = watermark.position.get(partition) ?? 0n;
              expect(position).toBe(firstOpen === undefined ? next.get(partition) : firstOpen.first);
            }
          }
        },
      ),
    );
  });
});
