import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countOffsets,
  mergeRanges,
  parseOffsets,
  type PartitionRange,
} from '../../../services/replayer/offset-ranges.ts';

const ranges = fc.array(
  fc
    .record({ partition: fc.nat(3), from: fc.nat(60), length: fc.integer({ min: 1, max: 20 }) })
    .map(({ partition, from, length }): PartitionRange => ({
      partition,
      from: BigInt(from),
      to: BigInt(from + length),
    })),
  { maxLength: 20 },
);

/** Every offset, as a person would count them. */
function members(list: readonly PartitionRange[]): string[] {
  const found = new Set<string>();
  for (const { partition, from, to } of list) {
    for (let offset = from; offset < to; offset += 1n) found.add(`${partition}:${offset}`);
  }
  return [...found].toSorted();
}

describe('offset ranges', () => {
  test('merged, they hold the same offsets, each once, and neither touch nor overlap', () => {
    fc.assert(
      fc.property(ranges, (list) => {
        const merged = mergeRanges(list);
        expect(members(merged)).toEqual(members(list));
        expect(countOffsets(merged)).toBe(BigInt(members(list).length));
        const touching = merged.filter(({ partition, to }, i) => {
          const next = merged[i + 1];
          return next?.partition === partition && next.from <= to;
        });
        expect(touching).toEqual([]);
      }),
    );
  });

  test('what is written is read back, in any order and layout', () => {
    fc.assert(
      fc.property(ranges, fc.constantFrom('\n', ', ', ' # why\n', '\n\n'), (list, between) => {
        const text = list.map(({ partition, from, to }) => `${partition}:${from}-${to - 1n}`).join(between);
        expect(parseOffsets(text)).toEqual(mergeRanges(list));
      }),
    );
  });

  test.for(['3', '3:', '3:9-8', 'a:1', '3:1-', '-1:4', '3:1:2', '0:1-2-3', '1.5:2'])('%j is none', (text) => {
    expect(() => parseOffsets(`0:1\n${text}`)).toThrow('line 2 is not PARTITION:OFFSET');
  });
});
