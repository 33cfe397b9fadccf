import { describe, expect, test } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { Health } from '../../../shared/health/health.ts';
import { Loop } from '../../../shared/health/loop.ts';

describe('Loop', () => {
  function setUp() {
    let now = 0;
    const loop = new Loop('a loop', 1_000, () => now);
    return { loop, pass: (ms: number) => (now += ms) };
  }

  test('whoever waits for work is not stuck, however long', async () => {
    const { loop, pass } = setUp();
    await loop.during(async () => {});
    pass(1e9);
    expect(loop.stuck).toBe(false);
  });

  test('work that does not end is stuck after the limit, and not while something happens', async () => {
    const { loop, pass } = setUp();
    const end = Promise.withResolvers<void>();
    const working = loop.during(() => end.promise);
    for (let i = 0; i < 10; i++) {
      pass(900);
      loop.touch();
    }
    pass(1_000);
    expect(loop.stuck).toBe(false);
    pass(1);
    expect(loop.stuck).toBe(true);
    expect(loop.stalled()).toMatchObject({
      code: 'STALLED',
      message: expect.stringContaining('a loop has stood still'),
    });
    end.resolve();
    await working;
    expect(loop.stuck).toBe(false);
  });

  test('one piece of work that hangs shows beside others that have ended, and one that fails has ended', async () => {
    const { loop, pass } = setUp();
    void loop.during(() => new Promise(() => {}));
    await expect(loop.during(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    pass(1_001);
    expect(loop.stuck).toBe(true);
  });

  test('a heartbeat is refused when nothing has happened for too long', () => {
    const { loop, pass } = setUp();
    pass(1_000);
    loop.assertAlive();
    pass(1);
    expect(() => loop.assertAlive()).toThrow(PipelineError);
  });
});

describe('Health', () => {
  test('is not ready before it has started, nor while any dependency is down, and is live all the same', () => {
    let now = 0;
    const health = new Health('writer', () => now);
    const kafka = health.dependency('kafka');
    const again = health.dependency('kafka');
    kafka.succeeded();
    expect(health.ready()).toMatchObject({ ok: false, body: { status: 'starting' } });
    health.started();
    expect(health.ready()).toMatchObject({ ok: true, body: { service: 'writer', status: 'ready' } });
    kafka.failed(new PipelineError('KAFKA_UNAVAILABLE', 'ECONNREFUSED 10.1.2.3'));
    now += 5_000;
    kafka.failed(new PipelineError('UNKNOWN', 'TypeError'));
    const down = health.ready();
    expect(down).toEqual({
      ok: false,
      body: {
        service: 'writer',
        status: 'waiting',
        dependencies: [
          {
            name: 'kafka',
            state: 'down',
            code: 'UNKNOWN',
            downMs: 5_000,
            failures: { KAFKA_UNAVAILABLE: 1, UNKNOWN: 1 },
          },
        ],
      },
    });
    expect(JSON.stringify(down)).not.toContain('10.1.2.3');
    expect(health.live().ok).toBe(true);
    again.succeeded();
    expect(health.ready().ok).toBe(true);
  });
});
