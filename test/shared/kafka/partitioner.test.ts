import fc from 'fast-check';
import kafkajs from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { murmur2, partitionFor } from '../../../shared/kafka/partitioner.ts';

/** Key, `Utils.murmur2`, `Utils.toPositive(hash) % 8` and `% 12` as the Java client 4.3.0 printed them. */
const javaAnswers: [string, number, number, number][] = [
  ['', 275646681, 1, 9],
  ['a', -1563381124, 4, 4],
  ['ab', 316155434, 2, 2],
  ['abc', 479470107, 3, 3],
  ['abcd', -1323649548, 4, 8],
  ['21', -973932308, 4, 0],
  ['foobar', -790332482, 6, 6],
  ['a-little-bit-long-string', -985981536, 0, 8],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971, 5, 5],
  ['219f7b9c-7f5c-4f3e-9d3a-4b7f0f3c2d11', -303440778, 6, 2],
  ['6a1c2b34-0000-4000-8000-00000000abcd', -739533575, 1, 9],
  ['é中😀', 1824111047, 7, 11],
];

describe('murmur2', () => {
  it.each(javaAnswers)('hashes %j as Java does', (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
  });

  it('hashes bytes above 127 as Java does', () => {
    expect(murmur2(Buffer.from([0xff, 0xfe, 0x80]))).toBe(-160726397);
    expect(murmur2(Buffer.from(Array.from({ length: 255 }, (_, i) => (i * 7 + 200) & 0xff)))).toBe(
      -1683178431,
    );
  });
});

describe('partitionFor', () => {
  it.each(javaAnswers)('puts %j where the Java client does', (key, _, ofEight, ofTwelve) => {
    expect(partitionFor(Buffer.from(key), 8)).toBe(ofEight);
    expect(partitionFor(Buffer.from(key), 12)).toBe(ofTwelve);
  });

  it('agrees with the Java-compatible partitioner of kafkajs on any key', () => {
    const theirs = kafkajs.Partitioners.DefaultPartitioner();
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 1, max: 500 }),
        (bytes, partitions) => {
          const key = Buffer.from(bytes);
          const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
            partitionId,
            leader: 1,
            partitionErrorCode: 0,
            replicas: [1],
            isr: [1],
          }));
          const message = { key, value: null };
          expect(partitionFor(key, partitions)).toBe(theirs({ topic: 't', partitionMetadata, message }));
        },
      ),
    );
  });
});
