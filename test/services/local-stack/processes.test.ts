import { expect, test } from 'vitest';
import { startFromStat } from '../../../services/local-stack/processes.ts';

/** proc(5): pid (comm) state ppid … starttime is field 22. */
const stat = (name: string, state: string, ticks: number) =>
  `42 (${name}) ${state} 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 ${ticks} 123 456`;

test('reads the start, whatever the process is called', () => {
  expect(startFromStat(stat('java', 'S', 987), 'boot')).toBe('boot:987');
  expect(startFromStat(stat('a) R 1 (b', 'R', 987), 'boot')).toBe('boot:987');
});

test('tells two starts and two boots of one pid apart', () => {
  const first = startFromStat(stat('java', 'S', 987), 'boot');
  expect(startFromStat(stat('java', 'S', 988), 'boot')).not.toBe(first);
  expect(startFromStat(stat('java', 'S', 987), 'other')).not.toBe(first);
});

test('a zombie does not run', () => {
  expect(startFromStat(stat('java', 'Z', 987), 'boot')).toBeUndefined();
});
