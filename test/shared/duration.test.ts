import { expect, test } from 'vitest';
import { durationMs } from '../../shared/duration.ts';
import { msPerDay } from '../../shared/time.ts';

test.for([
  ['1s', 1_000],
  ['90s', 90_000],
  ['15m', 900_000],
  ['1h', 3_600_000],
  ['1d', 86_400_000],
  ['2d', undefined],
  ['0s', undefined],
  ['1', undefined],
  ['h', undefined],
  ['1.5h', undefined],
  ['-1h', undefined],
  ['1ms', undefined],
  ['', undefined],
] as const)('durationMs("%s") is %s', ([text, ms]) => {
  expect(durationMs(text, msPerDay)).toBe(ms);
});
