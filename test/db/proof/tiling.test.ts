import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tile, type Run } from '../../../db/proof/tiling.ts';

const run = (first: number, last: number): Run => ({ first: BigInt(first), last: BigInt(last) });
const state = (start: number, end: number, committed?: number) => ({
  start: BigInt(start),
  end: BigInt(end),
  committed: committed === undefined ? undefined : BigInt(committed),
});

describe('tile', () => {
  test('a ledger that reaches the end', () => {
    expect(tile([run(0, 9)], state(0, 10, 10))).toEqual({
      coveredTo: 10n,
      lag: 0n,
      gaps: [],
      beyondEnd: false,
    });
  });

  test('an empty topic and an empty ledger', () => {
    expect(tile([], state(0, 0))).toEqual({ coveredTo: 0n, lag: 0n, gaps: [], beyondEnd: false });
  });

  test('records that nobody has read yet are lag, not a gap', () => {
    expect(tile([run(0, 4)], state(0, 10, 3))).toMatchObject({ coveredTo: 5n, lag: 5n, gaps: [] });
    expect(tile([], state(0, 10))).toMatchObject({ coveredTo: 0n, lag: 10n, gaps: [] });
  });

  test('a hole behind the committed offset is skipped, ahead of it pending, across it both', () => {
    const runs = [run(0, 4), run(7, 9)];
    expect(tile(runs, state(0, 12, 10)).gaps).toEqual([{ kind: 'skipped', first: 5n, last: 6n }]);
    expect(tile(runs, state(0, 12, 5)).gaps).toEqual([{ kind: 'pending', first: 5n, last: 6n }]);
    expect(tile(runs, state(0, 12)).gaps).toEqual([{ kind: 'pending', first: 5n, last: 6n }]);
    expect(tile(runs, state(0, 12, 6)).gaps).toEqual([
      { kind: 'skipped', first: 5n, last: 5n },
      { kind: 'pending', first: 6n, last: 6n },
    ]);
  });

  test('an offset committed beyond the ledger is a loss', () => {
    expect(tile([run(0, 4)], state(0, 10, 8)).gaps).toEqual([{ kind: 'skipped', first: 5n, last: 7n }]);
    expect(tile([], state(0, 10, 1)).gaps).toEqual([{ kind: 'skipped', first: 0n, last: 0n }]);
  });

  test('records that left the topic unread have expired, wherever the hole is', () => {
    expect(tile([run(0, 4), run(10, 19)], state(8, 20, 20)).gaps).toEqual([
      { kind: 'expired', first: 5n, last: 7n },
      { kind: 'skipped', first: 8n, last: 9n },
    ]);
    expect(tile([run(0, 4)], state(8, 20, 5)).gaps).toEqual([{ kind: 'expired', first: 5n, last: 7n }]);
    expect(tile([], state(3, 20)).gaps).toEqual([{ kind: 'expired', first: 0n, last: 2n }]);
    expect(tile([run(0, 4)], state(8, 20, 5))).toMatchObject({ coveredTo: 8n, lag: 12n });
  });

  test('records that were read and then left the topic are no gap', () => {
    expect(tile([run(0, 9)], state(6, 10, 10)).gaps).toEqual([]);
  });

  test('a ledger beyond the end of the topic belongs to another topic of that name', () => {
    expect(tile([run(0, 9)], state(0, 4)).beyondEnd).toBe(true);
  });
});

/** A partition offset by offset: which are in the ledger, where the topic starts, ends and was committed. */
const partition = fc
  .record({
    covered: fc.array(fc.boolean(), { maxLength: 40 }),
    start: fc.nat(45),
    length: fc.nat(45),
    committed: fc.option(fc.nat(45), { nil: undefined }),
  })
  .map(({ covered, start, length, committed }) => ({
    covered,
    kafka: state(start, start + length, committed),
  }));

function runsOf(covered: readonly boolean[]): Run[] {
  const runs: Run[] = [];
  let first: number | undefined;
  for (const [i, isCovered] of [...covered, false].entries()) {
    if (isCovered) first ??= i;
    else if (first !== undefined) {
      runs.push(run(first, i - 1));
      first = undefined;
    }
  }
  return runs;
}

test('every offset up to where anybody claims to be is covered or in exactly one gap of the right kind', () => {
  fc.assert(
    fc.property(partition, ({ covered, kafka }) => {
      const { start, committed } = kafka;
      const { gaps } = tile(runsOf(covered), kafka);
      const claimed = Math.max(covered.lastIndexOf(true) + 1, Number(start), Number(committed ?? 0n));
      for (let offset = 0; offset < 60; offset++) {
        const at = BigInt(offset);
        const kinds = gaps.filter((gap) => gap.first <= at && at <= gap.last).map((gap) => gap.kind);
        const expected = () => {
          if (offset >= claimed || covered[offset] === true) return [];
          if (at < start) return ['expired'];
          return [at < (committed ?? 0n) ? 'skipped' : 'pending'];
        };
        expect(kinds, `offset ${offset}`).toEqual(expected());
      }
    }),
  );
});
