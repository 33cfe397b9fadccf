import { describe, expect, test } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { Health } from '../../../shared/health/health.ts';
import { serveHealth, superviseHealth } from '../../../shared/health/serve.ts';
import { recordingLogger } from '../../services/connector/fixtures.ts';
import { eventually } from '../../helpers/pipeline.ts';

const host = '127.0.0.1';

async function ask(port: number, path: string, method = 'GET') {
  const response = await fetch(`http://${host}:${port}${path}`, { method });
  const text = await response.text();
  return { status: response.status, type: response.headers.get('content-type'), text };
}

describe('serveHealth', () => {
  test('200 when well, 503 when not, JSON in either case', async () => {
    const health = new Health('writer');
    await using server = await serveHealth(health, { host, port: 0 });
    expect(await ask(server.port, '/readyz')).toMatchObject({ status: 503, type: 'application/json' });
    health.started();
    const ready = await ask(server.port, '/readyz?verbose');
    expect(ready.status).toBe(200);
    expect(JSON.parse(ready.text)).toEqual({ service: 'writer', status: 'ready', dependencies: [] });
    health.dependency('postgres').failed(new PipelineError('DATABASE_UNAVAILABLE'));
    expect(await ask(server.port, '/readyz')).toMatchObject({ status: 503 });
    expect(await ask(server.port, '/livez')).toMatchObject({ status: 200 });
    void health.loop('the writer', 5).during(() => new Promise(() => {}));
    await eventually('the loop is stuck', async () => (await ask(server.port, '/livez')).status === 503);
    expect(await ask(server.port, '/livez', 'HEAD')).toMatchObject({ status: 503, text: '' });
    expect(await ask(server.port, '/livez', 'POST')).toMatchObject({ status: 405 });
    expect(await ask(server.port, '/env')).toMatchObject({ status: 404 });
  });

  test('a second instance on one port is told what to change; port 0 serves any number', async () => {
    const health = new Health('writer');
    await using first = await serveHealth(health, { host, port: 0 });
    await using other = await serveHealth(health, { host, port: 0 });
    expect(other.port).not.toBe(first.port);
    await expect(serveHealth(health, { host, port: first.port })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`HEALTH_PORT ${first.port} is taken`),
    });
  });
});

describe('superviseHealth', () => {
  test('a loop that is stuck ends the process with its reason, one that waits does not', async () => {
    const health = new Health('writer');
    const { log, lines } = recordingLogger();
    const ended = Promise.withResolvers<number>();
    await using open = new AsyncDisposableStack();
    const supervised = await superviseHealth(health, {
      config: { HEALTH_HOST: host },
      log,
      process: { exit: (code) => ended.resolve(code) },
    });
    open.use(supervised);
    health.loop('idle', 1);
    void health.loop('the writer', 5).during(() => new Promise(() => {}));
    expect(await ended.promise).toBe(1);
    expect(lines[0]).toMatchObject({
      level: 'error',
      code: 'STALLED',
      reason: expect.stringContaining('the writer has stood still'),
    });
  });
});
