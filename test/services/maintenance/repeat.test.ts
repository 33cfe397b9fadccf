import { describe, expect, test } from 'vitest';
import { repeat } from '../../../services/maintenance/repeat.ts';
import { PipelineError } from '../../../shared/errors.ts';
import { Health } from '../../../shared/health/health.ts';
import { createLogger } from '../../../shared/log.ts';

const log = createLogger({ service: 'test', level: 'silent' });

/** Runs `repeat` with a sleep that only counts, and stops it after as many sleeps as given. */
async function run(job: () => Promise<void>, everyMs: number, sleeps: number): Promise<number[]> {
  const stop = new AbortController();
  const slept: number[] = [];
  await repeat(job, {
    everyMs,
    stop: stop.signal,
    log,
    sleep: async (ms) => {
      slept.push(ms);
      if (slept.length === sleeps) stop.abort();
    },
  });
  return slept;
}

describe('repeat', () => {
  test('runs at once and then as often as asked', async () => {
    let runs = 0;
    expect(
      await run(
        async () => {
          runs += 1;
        },
        60_000,
        3,
      ),
    ).toEqual([60_000, 60_000, 60_000]);
    expect(runs).toBe(3);
  });

  test('is ready after its first run, not while a run fails, and again afterwards', async () => {
    const health = new Health('maintain');
    const seen: unknown[] = [];
    const outcomes = ['failed', 'done', 'failed', 'done'];
    const stop = new AbortController();
    await repeat(
      async () => {
        if (outcomes.shift() === 'failed') throw new PipelineError('VAULT_UNAVAILABLE');
      },
      {
        everyMs: 60_000,
        stop: stop.signal,
        log,
        health,
        sleep: async () => {
          seen.push(health.ready().body['status']);
          if (outcomes.length === 0) stop.abort();
        },
      },
    );
    expect(seen).toEqual(['starting', 'ready', 'waiting', 'ready']);
    expect(health.live()).toMatchObject({
      ok: true,
      body: { loops: [{ name: 'a run', state: 'waiting for work' }] },
    });
  });

  test('tries again soon after an outage, and goes back to its pace', async () => {
    let runs = 0;
    const slept = await run(
      async () => {
        runs += 1;
        if (runs <= 2) throw new PipelineError('VAULT_UNAVAILABLE');
      },
      3_600_000,
      4,
    );
    expect(slept.slice(0, 2).every((ms) => ms < 60_000)).toBe(true);
    expect(slept.slice(2)).toEqual([3_600_000, 3_600_000]);
  });

  test('never waits longer after an outage than it would have anyway', async () => {
    const failing = async () => {
      throw new PipelineError('DATABASE_UNAVAILABLE');
    };
    expect((await run(failing, 1_000, 20)).every((ms) => ms <= 1_000)).toBe(true);
  });

  test('ends with an error that waiting does not cure', async () => {
    const forbidden = async () => {
      throw new PipelineError('VAULT_FORBIDDEN');
    };
    await expect(run(forbidden, 1_000, 5)).rejects.toMatchObject({ code: 'VAULT_FORBIDDEN' });
  });

  test('does nothing once stopped', async () => {
    let runs = 0;
    const job = async () => {
      runs += 1;
    };
    await repeat(job, { everyMs: 1_000, stop: AbortSignal.abort(), log });
    expect(runs).toBe(0);
  });
});
