import fc from 'fast-check';
import { expect, test } from 'vitest';
import { refusedRows } from '../../../db/rows/refused-rows.ts';
import { PipelineError } from '../../../shared/errors.ts';

/** Finds the culprits among `rows`; how many tries that took. */
async function search(rows: readonly boolean[], from = 0): Promise<{ found: number[]; tries: number }> {
  let tries = 0;
  const refused = await refusedRows({ from, to: rows.length }, async (a, b) => {
    tries += 1;
    return rows.slice(a, b).includes(true) ? new PipelineError('DATABASE_REJECTED') : undefined;
  });
  return { found: refused.map(({ row }) => row), tries };
}

test('finds each culprit and nobody else, in order, wherever it begins', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), fc.nat(), async (rows, n) => {
      const from = n % rows.length;
      const { found } = await search(rows, from);
      expect(found).toEqual(rows.flatMap((bad, row) => (bad && row >= from ? [row] : [])));
    }),
  );
});

test('one in a thousand takes twenty tries, all of a thousand hardly more than a thousand', async () => {
  const row = (bad: (i: number) => boolean) => Array.from({ length: 1_000 }, (_, i) => bad(i));
  expect((await search(row((i) => i === 700))).tries).toBeLessThan(25);
  expect((await search(row((i) => i % 2 === 0))).tries).toBeLessThan(1_100);
  expect((await search(row(() => true))).tries).toBeLessThan(1_100);
});
