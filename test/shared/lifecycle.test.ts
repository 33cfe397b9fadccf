import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { backoffMs, runUntilStopped } from '../../shared/lifecycle.ts';
import { recordingLogger } from '../services/connector/fixtures.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A process that only notes how it was told to exit. */
class FakeProcess extends EventEmitter {
  readonly exits: number[] = [];
  exit(code: number): never {
    this.exits.push(code);
    throw new Error('exits');
  }
}

function start() {
  const port = new FakeProcess();
  const { log, lines } = recordingLogger();
  const end = Promise.withResolvers<void>();
  let signals: { stop: AbortSignal; force: AbortSignal } | undefined;
  const running = runUntilStopped(port, log, async (given) => {
    signals = given;
    await end.promise;
  });
  const aborted = () => [signals?.stop.aborted, signals?.force.aborted];
  return { port, lines, end, running, aborted };
}

test('a signal stops, three quarters of the deadline later it forces, and who ends in time is not made to exit', async () => {
  const { port, end, running, aborted } = start();
  expect(aborted()).toEqual([false, false]);
  port.emit('SIGTERM');
  expect(aborted()).toEqual([true, false]);
  await vi.advanceTimersByTimeAsync(18_000);
  expect(aborted()).toEqual([true, false]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(aborted()).toEqual([true, true]);
  end.resolve();
  await running;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(port.exits).toEqual([]);
  expect(port.eventNames()).toEqual([]);
});

test('a second signal exits at once', async () => {
  const { port, lines } = start();
  port.emit('SIGINT');
  expect(() => port.emit('SIGTERM')).toThrow('exits');
  expect(port.exits).toEqual([1]);
  expect(lines.at(-1)).toMatchObject({ msg: 'second signal: exiting at once' });
});

test('who does not stop within the deadline is made to', async () => {
  const { port, lines } = start();
  port.emit('SIGTERM');
  await expect(vi.advanceTimersByTimeAsync(25_000)).rejects.toThrow('exits');
  expect(port.exits).toEqual([1]);
  expect(lines.at(-1)).toMatchObject({ msg: 'did not stop within its deadline: exiting' });
});

test('backoff is full jitter below a ceiling that doubles up to the cap', () => {
  const ceilings = [0, 1, 2, 3, 40].map((attempt) =>
    backoffMs(attempt, { baseMs: 25, capMs: 150, random: () => 1 }),
  );
  expect(ceilings).toEqual([25, 50, 100, 150, 150]);
  expect(backoffMs(3, { baseMs: 25, capMs: 150, random: () => 0 })).toBe(0);
});
