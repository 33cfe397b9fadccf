import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchesOf } from '../../../services/replayer/read-batches.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';

interface Fetched {
  readonly records: IncomingRecord[];
  readonly nextOffset: bigint;
  readonly missed: bigint;
}

const record = (offset: bigint): IncomingRecord => {
  const nothing = Buffer.alloc(0);
  return { offset, key: nothing, value: nothing, timestampMs: 0, headers: {} };
};

/** Of each answer: which of its offsets have a record, and how many were gone before it. */
const answers = fc.array(
  fc.record({
    there: fc.array(fc.boolean(), { maxLength: 12 }),
    missed: fc.integer({ min: 0, max: 3 }),
  }),
  { maxLength: 8 },
);

function fetchedOf(from: bigint, of: readonly { there: boolean[]; missed: number }[]): Fetched[] {
  let next = from;
  return of.map(({ there, missed }) => {
    next += BigInt(missed);
    const records = there.flatMap((is, i) => (is ? [record(next + BigInt(i))] : []));
    next += BigInt(there.length);
    return { records, nextOffset: next, missed: BigInt(missed) };
  });
}

async function* each<T>(values: readonly T[]) {
  yield* values;
}

async function batched(from: bigint, to: bigint, fetched: readonly Fetched[], maxRecords: () => number) {
  return Array.fromAsync(batchesOf(each(fetched), { partition: 0, from, to }, { maxRecords }));
}

test('batches follow one another without a gap, an overlap or an empty one, hold every record, and count once what was missed', async () => {
  await fc.assert(
    fc.asyncProperty(
      answers,
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 }),
      async (of, sizes) => {
        const from = 5n;
        const fetched = fetchedOf(from, of);
        const to = fetched.at(-1)?.nextOffset ?? from;
        let asked = 0;
        const batches = await batched(from, to, fetched, () => sizes[asked++ % sizes.length] ?? 1);
        let next = from;
        for (const { records, last } of batches) {
          expect(last).toBeGreaterThanOrEqual(next);
          expect(records.every(({ offset }) => offset >= next && offset <= last)).toBe(true);
          expect(records.length).toBeLessThanOrEqual(7);
          next = last + 1n;
        }
        expect(next).toBe(to);
        expect(batches.flatMap(({ records }) => records)).toEqual(fetched.flatMap(({ records }) => records));
        const gone = of.reduce((sum, { missed }) => sum + missed, 0);
        expect(batches.reduce((sum, { missed }) => sum + missed, 0n)).toBe(BigInt(gone));
      },
    ),
  );
});

// A last entry that begins behind its own end was refused by the ledger, once in as many ranges as a batch has records.
test('a range whose records fill whole batches ends with the last of them', async () => {
  const fetched = fetchedOf(0n, [{ there: Array.from({ length: 100 }, () => true), missed: 0 }]);
  const batches = await batched(0n, 100n, fetched, () => 50);
  expect(batches.map(({ records, last }) => [records.length, last])).toEqual([
    [50, 49n],
    [50, 99n],
  ]);
});

test('a reading that is cut short leaves what is not a whole batch to whoever goes on', async () => {
  const fetched = fetchedOf(0n, [{ there: [true, true, true], missed: 0 }]);
  const batches = await batched(0n, 10n, fetched, () => 2);
  expect(batches.map(({ last }) => last)).toEqual([1n]);
});
