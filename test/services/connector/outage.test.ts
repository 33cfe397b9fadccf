import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Outage } from '../../../services/connector/outage.ts';
import { PipelineError } from '../../../shared/errors.ts';
import { never, recordingLogger } from './fixtures.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const down = () => Promise.reject(new PipelineError('SQS_UNAVAILABLE', 'ECONNREFUSED'));

describe('Outage', () => {
  test('many callers, many tries: one line when it goes and one when it is back', async () => {
    const { log, lines } = recordingLogger();
    const outage = new Outage('sqs', log, Date.now);
    let up = false;
    const callers = [1, 2, 3, 4].map((n) => outage.waitOut(() => (up ? Promise.resolve(n) : down()), never));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(outage.down).toBe(true);
    up = true;
    await vi.advanceTimersByTimeAsync(2_000);
    await expect(Promise.all(callers)).resolves.toEqual([1, 2, 3, 4]);
    expect(outage.down).toBe(false);
    expect(lines.map((line) => line['msg'])).toEqual(['outage: waiting', 'outage over']);
    expect(lines[0]).toMatchObject({ what: 'sqs', code: 'SQS_UNAVAILABLE' });
  });

  test('a server that fails every other call makes one pair of lines in ten seconds', () => {
    const { log, lines } = recordingLogger();
    const outage = new Outage('sqs', log, Date.now);
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
    await expect(new Outage('sqs', log, Date.now).waitOut(attempt, never)).rejects.toMatchObject({
      code: 'SQS_FORBIDDEN',
    });
    expect(attempt).toHaveBeenCalledTimes(1);
    expect(lines).toEqual([]);
  });

  test('an abort ends the wait with the outage', async () => {
    const stop = new AbortController();
    const waiting = new Outage('sqs', recordingLogger().log, Date.now).waitOut(down, stop.signal);
    const outcome = waiting.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(10_000);
    stop.abort();
    expect(await outcome).toMatchObject({ code: 'SQS_UNAVAILABLE' });
  });
});
