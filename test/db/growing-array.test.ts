import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GrowingArray, textArray } from '../../db/binary-array.ts';

describe('GrowingArray', () => {
  test('is the array that is made of all its elements at once, however little was expected', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), fc.nat(40), (texts, expected) => {
        const grown = new GrowingArray('text', expected);
        for (const text of texts) {
          const at = grown.open(3 * text.length);
          grown.close(at + grown.bytes.write(text, at, 'utf8'));
        }
        expect(grown.array.equals(textArray(texts))).toBe(true);
        expect(grown).toHaveLength(texts.length);
        expect([...grown].map(String)).toEqual(texts);
        const odd = texts.filter((_, i) => i % 2 === 1);
        expect(grown.pick((i) => i % 2 === 1).array.equals(textArray(odd))).toBe(true);
      }),
    );
  });
});
