import { expect, test } from 'vitest';
import { parseTime } from '../../shared/time.ts';

test.for([
  ['2026-11-24', '2026-11-24T00:00:00.000Z'],
  ['2026-11-24T08:00Z', '2026-11-24T08:00:00.000Z'],
  ['2026-11-24T08:00:00.5+01:00', '2026-11-24T07:00:00.500Z'],
  ['2026-11-24T00:00:00-05:30', '2026-11-24T05:30:00.000Z'],
  ['2024-02-29', '2024-02-29T00:00:00.000Z'],
] as const)('%s is %s', ([text, iso]) => {
  expect(new Date(parseTime(text) ?? Number.NaN).toISOString()).toBe(iso);
});

test.for([
  '',
  'yesterday',
  '2026-02-30',
  '2026-02-30T08:00:00Z',
  '2026-11-24T08:00:00',
  '2026-11-24 08:00:00Z',
  '2026-11-24T25:00:00Z',
  '24.11.2026',
  '1764000000000',
])('%j is no time, or has no zone', (text) => {
  expect(parseTime(text)).toBeUndefined();
});
