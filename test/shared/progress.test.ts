import { describe, expect, test } from 'vitest';
import { Progress, progressLine } from '../../shared/progress.ts';

function terminal(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { isTTY, columns, written, write: (text: string) => written.push(text) };
}

describe('the line', () => {
  test.for([
    [
      { what: 'events', done: 5_000, total: 10_000, elapsedMs: 5_000 },
      '[############------------]  50 % 5,000 of 10,000 events, 1,000/s, 5 s left',
    ],
    [{ what: 'events', done: 5_000, elapsedMs: 5_000 }, '5,000 events, 1,000/s'],
    [
      { what: 'rows', done: 12, total: 10, elapsedMs: 1_000 },
      '[########################] 100 % 12 of 10 rows, 12/s, 0 s left',
    ],
    [{ what: 'rows', done: 0, total: 0, elapsedMs: 0 }, '[########################] 100 % 0 of 0 rows, 0/s'],
    [
      { what: 'rows', done: 1, total: 7_501, elapsedMs: 1_000 },
      '[------------------------]   0 % 1 of 7,501 rows, 1/s, 2 h 5 min left',
    ],
    [
      { what: 'rows', done: 999, total: 1_000, elapsedMs: 100 },
      '[########################]  99 % 999 of 1,000 rows, 9,990/s, 1 s left',
    ],
  ] as const)('%j', ([state, line]) => {
    expect(progressLine(state)).toBe(line);
  });
});

test('a terminal is redrawn ten times a second at most, and left clean', () => {
  const screen = terminal(true);
  let nowMs = 0;
  {
    using progress = new Progress(screen, { what: 'events', total: 100, clock: () => nowMs });
    for (nowMs = 0; nowMs < 1_000; nowMs += 10) progress.add(1);
    expect(screen.written).toHaveLength(10);
    expect(screen.written.at(-1)).toContain('91 of 100 events');
  }
  expect(screen.written.at(-1)).toBe('\r\u001b[2K');
});

test('a narrow terminal is never made to wrap', () => {
  const screen = terminal(true, 20);
  using progress = new Progress(screen, { what: 'events', total: 100, clock: () => 0 });
  progress.add(1);
  expect(screen.written).toEqual([`\r\u001b[2K${'[------------------------]'.slice(0, 19)}`]);
});

test('a terminal that does not know its width gets eighty columns', () => {
  const screen = terminal(true, 0);
  using progress = new Progress(screen, { what: 'events', clock: () => 0 });
  progress.add(1);
  expect(screen.written).toEqual(['\r\u001b[2K1 events, 0/s']);
});

test('what is no terminal gets nothing', () => {
  const pipe = terminal(false);
  {
    using progress = new Progress(pipe, { what: 'events', total: 1 });
    progress.add(1);
  }
  expect(pipe.written).toEqual([]);
});
