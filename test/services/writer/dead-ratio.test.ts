import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DeadRatio, pastOf } from '../../../services/writer/dead-ratio.ts';
import type { DeadRecord } from '../../../db/rows/encode.ts';
import type { DeadLetterCode } from '../../../shared/errors.ts';

const dead = (count: number, code: DeadLetterCode = 'APP_VERSION', field?: string): DeadRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    partition: 0,
    record: { offset: BigInt(i), key: Buffer.alloc(0), value: Buffer.alloc(0), timestampMs: 1, headers: {} },
    reason: { code, stage: 'parse', ...(field === undefined ? {} : { field }) },
  }));

/** Whether a batch of this many records with this many dead letters is let through. */
function passes(ratio: DeadRatio, records: number, deadLetters: number): boolean {
  const batch = ratio.batch(new Map([[0, records]]));
  try {
    if (deadLetters > 0) batch.admit(dead(deadLetters));
  } catch {
    return false;
  }
  batch.done();
  return true;
}

describe('DeadRatio', () => {
  const limits = { maxRatio: 0.2, windowRecords: 10_000, minRecords: 1_000 };

  test('a bad deploy in the first full batch: none of it passes', () => {
    expect(passes(new DeadRatio(limits), 5_000, 5_000)).toBe(false);
  });

  test('a handful of hostile probes is no bad deploy, nor is one in two hundred for ever', () => {
    const ratio = new DeadRatio(limits);
    expect(passes(ratio, 30, 24)).toBe(true);
    for (let i = 0; i < 1_000; i++) expect(passes(ratio, 1_000, 5)).toBe(true);
  });

  test('after good records it takes a share of the window, not of all time', () => {
    const ratio = new DeadRatio(limits);
    for (let i = 0; i < 10_000; i++) expect(passes(ratio, 1_000, 0)).toBe(true);
    let through = 0;
    while (passes(ratio, 100, 100)) through += 100;
    expect(through).toBe(2_000);
  });

  test('small batches add up', () => {
    const ratio = new DeadRatio(limits);
    let through = 0;
    while (passes(ratio, 1, 1)) through += 1;
    expect(through).toBe(limits.minRecords - 1);
  });

  test('one in two passes where it is allowed, and everything where the ratio is 1', () => {
    const half = new DeadRatio({ ...limits, maxRatio: 0.5 });
    for (let i = 0; i < 100; i++) expect(passes(half, 1_000, 500)).toBe(true);
    const all = new DeadRatio({ ...limits, maxRatio: 1 });
    for (let i = 0; i < 100; i++) expect(passes(all, 1_000, 1_000)).toBe(true);
    expect(passes(new DeadRatio({ maxRatio: 0, windowRecords: 1, minRecords: 1 }), 1_000, 1)).toBe(false);
  });

  test('dead letters found one by one, as bisecting finds them, count towards their batch', () => {
    const ratio = new DeadRatio(limits);
    const batch = ratio.batch(new Map([[0, 5_000]]));
    for (let i = 0; i < 1_000; i++) batch.admit(dead(1, 'DATABASE_REJECTED'));
    expect(() => batch.admit(dead(1, 'DATABASE_REJECTED'))).toThrow(
      /1,001 of the last 5,000 .*DATABASE_REJECTED/,
    );
  });

  test('says how many, what is allowed, and what most of them are', () => {
    const batch = new DeadRatio(limits).batch(new Map([[0, 2_000]]));
    expect(() => batch.admit([...dead(10), ...dead(500, 'FIELD_TYPE', 'locale')])).toThrow(
      '510 of the last 2,000 records are dead letters (25.5 %, allowed are 20 %), most of these FIELD_TYPE at locale',
    );
  });

  test('whatever the batches: never more than the share of window and batch, nor less than it lets through', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0, max: 1, noNaN: true })), {
          maxLength: 60,
        }),
        (batches) => {
          const ratio = new DeadRatio({ maxRatio: 0.3, windowRecords: 500, minRecords: 200 });
          let passed: { records: number; deadLetters: number }[] = [];
          for (const [records, share] of batches) {
            const deadLetters = Math.round(records * share);
            const sum = (key: 'records' | 'deadLetters') => passed.reduce((all, one) => all + one[key], 0);
            const total = sum('records') + records;
            const allowed =
              deadLetters === 0 || total < 200 || sum('deadLetters') + deadLetters <= 0.3 * total;
            expect(passes(ratio, records, deadLetters)).toBe(allowed);
            if (!allowed) return;
            passed.push({ records, deadLetters });
            while (sum('records') - (passed[0]?.records ?? 0) >= 500) passed = passed.slice(1);
          }
        },
      ),
    );
  });

  describe('across restarts', () => {
    /** As the next process finds it beside the offset of partition 0. */
    const next = (before: DeadRatio, more: Partial<typeof limits> = {}) => {
      const note = before.note(0);
      return new DeadRatio({ ...limits, ...more }, pastOf(new Map(note === undefined ? [] : [[0, note]])));
    };

    test('a supervisor that starts it again and again lets no more through than one process does', () => {
      let ratio = new DeadRatio(limits);
      let through = 0;
      for (let start = 0; start < 50; start++, ratio = next(ratio)) {
        while (passes(ratio, 7, 7)) through += 7;
      }
      expect(through).toBeLessThan(limits.minRecords);
    });

    test('what was mended goes on, whatever came before: one in two hundred is no reason to stop', () => {
      const ratio = new DeadRatio(limits);
      while (passes(ratio, 10, 10));
      const mended = next(ratio);
      for (let i = 0; i < 100; i++) expect(passes(mended, 1_000, 5)).toBe(true);
    });

    test('who lets everything through makes a new beginning', () => {
      const ratio = new DeadRatio(limits);
      while (passes(ratio, 10, 10));
      const open = next(ratio, { maxRatio: 1 });
      for (let i = 0; i < 20; i++) expect(passes(open, 1_000, 1_000)).toBe(true);
      expect(open.note(0)).toBeUndefined();
      expect(passes(next(open), 100, 100)).toBe(true);
    });

    test('a note is of its partition, of the window, and of a form of ours', () => {
      const ratio = new DeadRatio({ ...limits, windowRecords: 100 });
      for (const [partition, count] of [
        [1, 60],
        [2, 30],
        [1, 50],
      ] as const) {
        const batch = ratio.batch(new Map([[partition, count]]));
        batch.admit(dead(1).map((one) => Object.assign(one, { partition })));
        batch.done();
      }
      expect([1, 2, 3].map((partition) => ratio.note(partition))).toEqual([
        'dead=2/110',
        'dead=1/30',
        'dead=0/0',
      ]);
      expect(
        pastOf(
          new Map([
            [0, 'dead=3/9'],
            [1, 'dead=9/3'],
            [2, 'x'],
            [3, ''],
          ]),
        ),
      ).toEqual(new Map([[0, { records: 9, dead: 3 }]]));
    });

    test('says how many of them it has not seen itself', () => {
      const ratio = new DeadRatio(limits);
      while (passes(ratio, 333, 333));
      expect(() =>
        next(ratio)
          .batch(new Map([[0, 2]]))
          .admit(dead(2)),
      ).toThrow(/1,001 of the last 1,001 .*; 999 of them came before this start/);
    });
  });
});
