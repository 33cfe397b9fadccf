import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { findChromium, launchChromium, noChromiumHere } from '../helpers/chromium.ts';
import { animationsRunning, faintTexts, focused, overhang } from '../helpers/in-page.js';
import { createPipeline, eventually, type Pipeline, type ServiceProcess } from '../helpers/pipeline.ts';
import { sendAll } from '../helpers/queues.ts';
import { settled } from '../helpers/settle.ts';

const token = 'a-token-of-this-test-alone';
const login = (i: number, more: object = {}) =>
  JSON.stringify({
    user_id: `CANARY-USER-${i}`,
    app_version: '2.3.0',
    device_type: 'iOS',
    ip: `203.0.113.${i}`,
    locale: null,
    device_id: `CANARY-DEVICE-${i}`,
    ...more,
  });

let pipeline: Pipeline;
let served: ServiceProcess;
let base = '';
let settings: Record<string, string> = {};

/** What the last line with this message says of `field`. */
async function logged(service: ServiceProcess, message: string, field: string): Promise<string> {
  let found = '';
  await eventually(`${message} in the log`, async () => {
    const lines = (await readFile(service.logFile, 'utf8'))
      .split('\n')
      .filter((line) => line.startsWith('{'));
    const last = lines
      .map((line): Record<string, unknown> => JSON.parse(line))
      .findLast(({ msg }) => msg === message);
    found = last === undefined ? '' : String(last[field]);
    return last !== undefined;
  });
  return found;
}

async function startConsole(port = '0'): Promise<void> {
  served = await pipeline.start('console', { ...settings, CONSOLE_PORT: port });
  base = await logged(served, 'console', 'url');
}

beforeAll(async () => {
  pipeline = await createPipeline(
    {
      postgresAdminUrl: inject('postgresAdminUrl'),
      kafkaBrokers: inject('kafkaBrokers'),
      sqsEndpoint: inject('sqsEndpoint'),
    },
    { partitions: 3, env: { HEALTH_PORT: '0' } },
  );
  const services = [await pipeline.start('connector'), await pipeline.start('writer')];
  const ports = await Promise.all(services.map((service) => logged(service, 'health', 'port')));
  settings = {
    CONSOLE_TOKEN: token,
    CONSOLE_ALLOWED_HOSTS: 'sluice.example',
    SERVICE_URLS: ports.map((port) => `http://127.0.0.1:${port}`).join(','),
  };
  await sendAll(pipeline.queue, [
    ...Array.from({ length: 40 }, (_, i) => login(i)),
    ...Array.from({ length: 6 }, (_, i) => login(i, { ip: `CANARY-IP-${i}` })),
  ]);
  await settled(pipeline);
  await startConsole();
}, 120_000);
afterAll(() => pipeline[Symbol.asyncDispose]());

/** With headers that fetch does not let one set. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const { port } = new URL(base);
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }>(
    (resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers }, (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (text: string) => (body += text));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }));
      });
      asked.on('error', reject).end();
    },
  );
}
const basic = (password: string) => ({
  authorization: `Basic ${Buffer.from(`anybody:${password}`).toString('base64')}`,
});

describe('who may ask', () => {
  test('only who shows the token, in either way; all else gets no word of it', async () => {
    for (const path of ['/', '/snapshot', '/events', '/page/main.js', '/nothing']) {
      for (const headers of [{}, basic('wrong'), basic(`${token}x`), { authorization: `Bearer ${token}x` }]) {
        const { status, headers: answered, body } = await ask(path, headers);
        expect(status).toBe(401);
        expect(answered['www-authenticate']).toContain('Basic');
        expect(body).toBe('The password is CONSOLE_TOKEN; any name will do.\n');
      }
    }
    expect((await ask('/', basic(token))).status).toBe(200);
    expect((await ask('/snapshot', { authorization: `Bearer ${token}` })).status).toBe(200);
  });

  test('under a name that is not ours nobody, token or not', async () => {
    expect((await ask('/snapshot', { ...basic(token), host: 'evil.example' })).status).toBe(421);
    for (const host of ['sluice.example', 'SLUICE.example:443', 'localhost:1', '[::1]:80', '10.0.0.1']) {
      expect((await ask('/', { ...basic(token), host })).status).toBe(200);
    }
  });

  test('to read, and nothing else', async () => {
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expect((await ask('/snapshot', basic(token), method)).status).toBe(405);
    }
    const { headers } = await ask('/', basic(token));
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).not.toContain('unsafe');
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
  });

  test('it does not start where others can reach it and need no token', async () => {
    const open = await pipeline.runWith({ CONSOLE_HOST: '0.0.0.0', CONSOLE_PORT: '0' }, 'console');
    expect(open.code).toBe(2);
    expect(open.stderr).toContain('CONSOLE_TOKEN is not set');
    const short = await pipeline.runWith({ CONSOLE_TOKEN: 'CANARY' }, 'console');
    expect(short.code).toBe(2);
    expect(short.stderr).toContain('CONSOLE_TOKEN must have at least 22 characters');
    expect(short.stderr).not.toContain('CANARY');
  });
});

describe('in a browser', () => {
  const chromium = findChromium();
  let browser: Browser | undefined;
  const asked: string[] = [];
  const said: string[] = [];

  beforeAll(async () => {
    if (chromium !== undefined) browser = await launchChromium(chromium);
  });
  afterAll(() => browser?.close());
  beforeEach((context) => {
    if (chromium === undefined) context.skip(noChromiumHere);
  });

  async function openPage(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser?.newContext({
      httpCredentials: { username: 'anybody', password: token },
      viewport: { width: 1280, height: 800 },
      ...options,
    });
    const page = await context?.newPage();
    if (page === undefined) throw new Error('no browser');
    page.on('request', (one) => asked.push(one.url()));
    page.on('console', (one) => said.push(`${one.type()}: ${one.text()}`));
    page.on('pageerror', (error) => said.push(`error: ${error.message}`));
    await page.goto(base);
    await page.locator('#flow .stage').nth(4).waitFor();
    await page.locator('#dead-letters table').waitFor();
    return page;
  }

  const rowsShown = async (page: Page) => {
    const cells = await page.locator('#plot-table tbody td:nth-child(2)').allTextContents();
    return cells.reduce((sum, text) => sum + Number(text.replaceAll(',', '')), 0);
  };

  test('it shows the pipeline as it is, and what comes next without being asked', async () => {
    const page = await openPage();
    await expect
      .poll(() => page.locator('#verdict').textContent(), { timeout: 30_000 })
      .toContain('6 dead letters in the last hour: IP_ADDRESS');
    expect(await page.title()).toBe('attention · Sluice');
    expect(await page.locator('#dead-letters tbody tr').allTextContents()).toEqual([
      expect.stringMatching(/^IP_ADDRESS60/),
    ]);
    expect(await page.locator('#ledger').textContent()).toContain('Proven');
    expect(await page.locator('#lag tbody tr').count()).toBe(3);
    expect(await page.locator('#calendar .today .there').count()).toBe(2);
    expect(await page.locator('#breakers h3').allTextContents()).toEqual([
      expect.stringMatching(/^connector ready/),
      expect.stringMatching(/^writer ready/),
    ]);
    expect(await rowsShown(page)).toBe(40);
    await sendAll(
      pipeline.queue,
      Array.from({ length: 25 }, (_, i) => login(i)),
    );
    await expect.poll(() => rowsShown(page), { timeout: 30_000 }).toBe(65);
    await page.context().close();
  });

  test('a console that goes and comes back finds its page waiting for it', async () => {
    const page = await openPage();
    await served.kill('SIGTERM');
    await expect
      .poll(() => page.locator('#connection').textContent(), { timeout: 30_000 })
      .toContain('no connection');
    await startConsole(new URL(base).port);
    await expect.poll(() => page.locator('#connection').textContent(), { timeout: 60_000 }).toContain('live');
    await page.context().close();
  });

  test.each([
    ['light', {}],
    ['dark', { colorScheme: 'dark' }],
    ['on a phone', { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }],
  ] as const)(
    '%s: text stands out from its ground, and nothing is wider than the screen',
    async (_, options) => {
      const page = await openPage(options);
      expect(await page.evaluate(overhang)).toBeLessThanOrEqual(0);
      expect(await page.evaluate(faintTexts)).toEqual([]);
      await page.context().close();
    },
  );

  test('by keyboard: every stop has a name, in the order of the page, and the plot tells its minutes', async () => {
    const page = await openPage();
    const stops: string[] = [];
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press('Tab');
      stops.push(await page.evaluate(focused));
    }
    expect(stops).toEqual(['a', 'plot', 'summary', 'lag', 'body']);
    await page.locator('#plot').focus();
    await page.keyboard.press('ArrowLeft');
    const before = await page.locator('#pointed').textContent();
    expect(before).toMatch(/^\d\d:\d\d: [\d,]+ rows/);
    await page.keyboard.press('ArrowLeft');
    expect(await page.locator('#pointed').textContent()).not.toBe(before);
    // What is drawn anew every two seconds does not take the focus away.
    const drawn = await page.locator('#connection').textContent();
    await expect.poll(() => page.locator('#connection').textContent(), { timeout: 30_000 }).not.toBe(drawn);
    expect(await page.evaluate(focused)).toBe('plot');
    await page.context().close();
  });

  test('to a screen reader: landmarks and parts have names, tables have heads, changes are told and figures are not', async () => {
    const page = await openPage();
    const tree = await page.locator('body').ariaSnapshot();
    for (const part of [
      '- banner',
      '- main',
      '- contentinfo',
      'region "Lag by partition"',
      'region "Dead letters by reason"',
      'region "Partitions and keys by day"',
      'table "Dead letters by reason"',
      'columnheader "Not read yet"',
      'rowheader "IP_ADDRESS"',
      'img "Latency by minute',
      '- status: "The pipeline is attention: 6 dead letters',
    ]) {
      expect(tree).toContain(part);
    }
    expect(tree).toMatch(/\(today\): partition there, .*; key there/);
    expect(tree).toMatch(/from the queue to the connector/);
    const ids = await page.locator('[id]').evaluateAll((elements) => elements.map(({ id }) => id));
    expect(new Set(ids).size).toBe(ids.length);
    await page.context().close();
  });

  test('who wants no motion sees none', async () => {
    const page = await openPage({ reducedMotion: 'reduce' });
    expect(await page.evaluate(animationsRunning)).toBe(0);
    await page.context().close();
  });

  test('nothing personal is in any answer, nothing is asked for elsewhere, and the page has nothing to complain of', async () => {
    const page = await openPage();
    let everything = await page.content();
    for (const path of ['/', '/snapshot', '/page/main.js'])
      everything += (await ask(path, basic(token))).body;
    const events = await fetch(`${base}events`, { headers: basic(token) });
    const reader = events.body?.getReader();
    for (let look = 0; look < 3; look++)
      everything += Buffer.from((await reader?.read())?.value ?? []).toString();
    await reader?.cancel();
    expect(everything).toContain('data: {"queue"');
    for (const canary of ['CANARY', '203.0.113.', token]) expect(everything).not.toContain(canary);
    expect(await pipeline.logs()).not.toContain(token);
    expect(asked.filter((url) => !url.startsWith(base))).toEqual([]);
    // While the console was away, and its 401 before the credentials were shown.
    expect(said.filter((line) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_EMPTY|401/.test(line))).toEqual(
      [],
    );
    await page.context().close();
  });
});
