import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { Health } from '../../../shared/health/health.ts';
import { checkWhenIdle } from '../../../shared/health/idle-check.ts';
import { Outage } from '../../../shared/outage.ts';
import { recordingLogger } from '../../services/connector/fixtures.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function setUp() {
  const health = new Health('a service', Date.now, Date.now);
  health.started();
  const { log, lines } = recordingLogger();
  const observer = health.dependency('kafka');
  const stop = new AbortController();
  const server = { asked: 0, down: false };
  const check = async () => {
    server.asked += 1;
    if (server.down) throw new PipelineError('KAFKA_UNAVAILABLE');
  };
  const outage = new Outage('kafka', { log, observer });
  const running = checkWhenIdle({ health, dependency: 'kafka', outage, check }, stop.signal);
  const ready = () => health.ready().ok;
  return { health, observer, server, lines, ready, running, stop };
}

const seconds = (n: number) => vi.advanceTimersByTimeAsync(n * 1000);

test('a server that is gone while nothing happens shows, and so does its return, within a second', async () => {
  const { server, lines, ready, running, stop } = setUp();
  await seconds(60);
  expect(ready()).toBe(true);
  expect(server.asked).toBeLessThan(20);
  server.down = true;
  await seconds(5);
  expect(ready()).toBe(false);
  await seconds(60);
  server.down = false;
  await seconds(1);
  expect(ready()).toBe(true);
  expect(lines.map(({ msg }) => msg)).toEqual(['outage: waiting', 'outage over']);
  stop.abort();
  await running;
});

test('who works is not asked besides, whatever he tells', async () => {
  const { observer, server, ready } = setUp();
  await seconds(1);
  const { asked } = server;
  for (let i = 0; i < 30; i++) {
    observer.succeeded();
    await seconds(1);
  }
  for (let i = 0; i < 30; i++) {
    observer.failed(new PipelineError('KAFKA_UNAVAILABLE'));
    await seconds(1);
  }
  expect(server.asked).toBe(asked);
  expect(ready()).toBe(false);
  // He has gone quiet, and the server is back.
  await seconds(5);
  expect(ready()).toBe(true);
});
