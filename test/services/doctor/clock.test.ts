import { expect, test } from 'vitest';
import { judgeClock } from '../../../services/doctor/clock.ts';
import { Findings } from '../../../services/doctor/finding.ts';

function judged(at: { serverMs: number; beforeMs?: number; afterMs?: number; precisionMs?: number }) {
  const findings = new Findings('postgres');
  judgeClock(findings, 'Postgres', { beforeMs: 100_000, afterMs: 100_400, precisionMs: 0, ...at });
  return findings.list.map(({ state, what }) => `${state}: ${what}`);
}

test('the time that the question took is no skew, nor is a server that tells whole seconds', () => {
  expect(judged({ serverMs: 100_350 })).toEqual([
    expect.stringContaining('ok: the clock of Postgres is ours'),
  ]);
  expect(judged({ serverMs: 99_000, precisionMs: 1_000 })).toEqual([expect.stringContaining('ok')]);
});

test('what is left is, in either direction', () => {
  expect(judged({ serverMs: 103_900 })).toEqual(['warn: the clock of Postgres is 3.5 s ahead of ours']);
  expect(judged({ serverMs: 90_000 })).toEqual(['warn: the clock of Postgres is 10.0 s behind ours']);
  expect(judged({ serverMs: 3_700_400 })).toEqual(['fail: the clock of Postgres is 3600.0 s ahead of ours']);
});
