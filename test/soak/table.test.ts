import { expect, test } from 'vitest';
import { tableOf, withTable } from './table.ts';

const run = {
  date: '2026-01-02',
  seed: 7,
  minutes: 30,
  rounds: [
    { fault: 'b', report: { fault: 'b', messages: 10, lost: 0, doubled: 0, failure: undefined } },
    { fault: 'a', report: { fault: 'a', messages: 5, lost: 1, doubled: 2, failure: 'lost' } },
    { fault: 'b', report: { fault: 'b', messages: 20, lost: 0, doubled: 0, failure: undefined } },
    { fault: 'c', report: undefined },
  ],
  notes: ['a note'],
};

test('adds up by fault; what was not kept, or not run to its end, shows', () => {
  expect(tableOf(run)).toBe(
    [
      '2026-01-02, 30 minutes, `npm run test:soak -- --minutes 30 --seed 7`: 4 rounds, 35 messages, 1 lost, 2 doubled.',
      '',
      '| fault | rounds | messages | lost | doubled | kept |',
      '| --- | ---: | ---: | ---: | ---: | --- |',
      '| a | 1 | 5 | 1 | 2 | not in 1 |',
      '| b | 2 | 30 | 0 | 0 | yes |',
      '| c | 1 | 0 | 0 | 0 | not in 1 |',
      '',
      '- a note',
    ].join('\n'),
  );
});

test('replaces the table of before and leaves the rest of the page', () => {
  const page = 'above\n<!-- soak: written by npm run test:soak -->\nold\n<!-- /soak -->\nbelow\n';
  const written = withTable(page, run);
  expect(written).toMatch(/^above\n<!-- soak[^\n]*\n\n2026-01-02/);
  expect(written).toMatch(/a note\n\n<!-- \/soak -->\nbelow\n$/);
  expect(written).not.toContain('old');
  expect(withTable(written, run)).toBe(written);
  expect(() => withTable('nothing', run)).toThrow('lost the marks');
});
