import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { OffsetCommitter } from '../../../services/writer/offset-committer.ts';
import type { Position } from '../../../shared/kafka/ports.ts';
import { quiet } from '../connector/fixtures.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function setUp(commit: (position: Position) => Promise<void> = async () => {}) {
  const commits: { at: number; position: Record<number, bigint> }[] = [];
  const startedAt = Date.now();
  const consumer = {
    run: () => Promise.reject(new Error('not run here')),
    stop: () => Promise.resolve(),
    commit: (position: Position) => {
      commits.push({ at: Date.now() - startedAt, position: Object.fromEntries(position) });
      return commit(position);
    },
  };
  let next = 0n;
  const committer = new OffsetCommitter(consumer, quiet);
  const advance = (records: number) => {
    next += BigInt(records);
    committer.advance(new Map([[0, next]]), records);
  };
  return { committer, commits, advance };
}

describe('OffsetCommitter', () => {
  test('the first at once; then, of a few records, once a second', async () => {
    const { commits, advance } = setUp();
    for (let i = 0; i < 25; i++) {
      advance(1);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(commits.map(({ at }) => at)).toEqual([0, 1_000, 2_000]);
    expect(commits.at(-1)?.position).toEqual({ 0: 20n });
    await vi.advanceTimersByTimeAsync(1_000);
    expect(commits.at(-1)).toEqual({ at: 3_000, position: { 0: 25n } });
  });

  test('of many, ten times a second', async () => {
    const { commits, advance } = setUp();
    for (let i = 0; i < 100; i++) {
      advance(500);
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(commits.map(({ at }) => at)).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
  });

  test('nothing is committed twice, nor at all when there is nothing', async () => {
    const { committer, commits, advance } = setUp();
    advance(10);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(commits).toHaveLength(1);
    await committer.flush();
    expect(commits).toHaveLength(1);
  });

  test('flush waits for no timer', async () => {
    const { committer, commits, advance } = setUp();
    advance(10);
    await vi.advanceTimersByTimeAsync(150);
    advance(10);
    await committer.flush();
    expect(commits).toEqual([
      { at: 0, position: { 0: 10n } },
      { at: 150, position: { 0: 20n } },
    ]);
  });

  test('what is pending when the assignment changes is dropped', async () => {
    const { committer, commits, advance } = setUp();
    advance(10);
    await vi.advanceTimersByTimeAsync(50);
    advance(10);
    committer.reset();
    await vi.advanceTimersByTimeAsync(5_000);
    await committer.flush();
    expect(commits).toHaveLength(1);
  });

  test('a commit that fails is left to the next', async () => {
    const { commits, advance } = setUp(() => Promise.reject(new Error('no coordinator')));
    advance(10);
    await vi.advanceTimersByTimeAsync(1_000);
    advance(10);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(commits.map(({ position }) => position)).toEqual([{ 0: 10n }, { 0: 20n }]);
  });
});
