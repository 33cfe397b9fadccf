import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PipelineError, type ErrorCode } from '../../shared/errors.ts';
import { Outage } from '../../shared/outage.ts';
import { never, recordingLogger } from '../services/connector/fixtures.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const down = () => Promise.reject(new PipelineError('SQS_UNAVAILABLE', 'ECONNREFUSED'));

describe('Outage', () => {
  test('many callers, many tries: one line when it goes and one when it is back', async () => {
    const { log, lines } = recordingLogger();
    const outage = new Outage('sqs', { log });
    let up = false;
    const callers = [1, 2, 3, 4].map((n) => outage.waitOut(() => (up ? Promise.resolve(n) : down()), never));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(outage.down).toBe(true);
    up = true;
    await vi.advanceTimersByTimeAsync(1_005);
    await expect(Promise.all(callers)).resolves.toEqual([1, 2, 3, 4]);
    expect(outage.down).toBe(false);
    expect(lines.map((line) => line['msg'])).toEqual(['outage: waiting', 'outage over']);
    expect(lines[0]).toMatchObject({ what: 'sqs', code: 'SQS_UNAVAILABLE' });
  });

  test('a server that fails every other call makes one pair of lines in ten seconds', () => {
    const { log, lines } = recordingLogger();
    const outage = new Outage('sqs', { log });
    for (let i = 0; i < 99; i++) {
      outage.failed(new PipelineError('SQS_UNAVAILABLE'));
      outage.succeeded();
      vi.advanceTimersByTime(100);
    }
    expect(lines).toHaveLength(2);
    vi.advanceTimersByTime(1_000);
    outage.failed(new PipelineError('SQS_UNAVAILABLE'));
    expect(lines).toHaveLength(3);
  });

  test('an error that waiting cannot cure is thrown at once', async () => {
    const attempt = vi.fn<() => Promise<never>>(() => Promise.reject(new PipelineError('SQS_FORBIDDEN')));
    const { log, lines } = recordingLogger();
    await expect(new Outage('sqs', { log }).waitOut(attempt, never)).rejects.toMatchObject({
      code: 'SQS_FORBIDDEN',
    });
    expect(attempt).toHaveBeenCalledTimes(1);
    expect(lines).toEqual([]);
  });

  test('an abort ends the wait with the outage', async () => {
    const stop = new AbortController();
    const waiting = new Outage('sqs', { log: recordingLogger().log }).waitOut(down, stop.signal);
    const outcome = waiting.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(10_000);
    stop.abort();
    expect(await outcome).toMatchObject({ code: 'SQS_UNAVAILABLE' });
  });

  test('a missing key is an error that alarms can look for, also when an outage hid it at first', async () => {
    const { log, lines } = recordingLogger();
    const left: ErrorCode[] = ['VAULT_UNAVAILABLE', 'KEY_MISSING', 'KEY_MISSING', 'PARTITION_MISSING'];
    const done = new Outage('keys', { log }).waitOut(async () => {
      const code = left.shift();
      if (code !== undefined) throw new PipelineError(code);
      return 'done';
    }, never);
    await vi.runAllTimersAsync();
    expect(await done).toBe('done');
    expect(lines.map(({ level, code }) => [level, code])).toEqual([
      ['warn', 'VAULT_UNAVAILABLE'],
      ['error', 'KEY_MISSING'],
      ['error', 'PARTITION_MISSING'],
      ['info', undefined],
    ]);
  });

  test('what nobody has classified is an outage, told by its name and not by its message', async () => {
    const { log, lines } = recordingLogger();
    let tries = 0;
    const done = new Outage('keys', { log }).waitOut(async () => {
      tries += 1;
      if (tries < 3) throw new TypeError('secret is not a function');
      return tries;
    }, never);
    await vi.runAllTimersAsync();
    expect(await done).toBe(3);
    expect(lines[0]).toMatchObject({ code: 'UNKNOWN', reason: expect.stringContaining('TypeError') });
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  test('whoever waits a week goes on within a second of the return', async () => {
    let up = false;
    let done = false;
    void new Outage('sqs', { log: recordingLogger().log })
      .waitOut(() => (up ? Promise.resolve() : down()), never)
      .then(() => {
        done = true;
      });
    await vi.advanceTimersByTimeAsync(3_600_000);
    up = true;
    await vi.advanceTimersByTimeAsync(1_005);
    expect(done).toBe(true);
  });
});
