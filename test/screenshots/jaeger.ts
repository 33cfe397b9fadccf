import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hostileInputs } from '../../services/demo/hostile-inputs.ts';
import { sampleLogins, seededRandom } from '../../services/demo/sample-logins.ts';
import { findTraces } from '../../services/trace/jaeger.ts';
import { findChromium, launchChromium } from '../helpers/chromium.ts';
import { noJaegerHere, startJaeger } from '../helpers/jaeger.ts';
import { createPipeline, eventually } from '../helpers/pipeline.ts';
import { sendAll } from '../helpers/queues.ts';
import { startTestServers } from '../helpers/servers.ts';
import { settled } from '../helpers/settle.ts';

/**
 * `node test/screenshots/jaeger.ts`: the pictures of Jaeger in docs/images, from a pipeline of its own that traces everything. Needs Jaeger's
 * program with its page in it (as its releases have it; for one without, JAEGER_UI_ASSETS names the directory of a built page) and a Chromium.
 */
const { JAEGER_UI_ASSETS: assets = '' } = process.env;
const chromium = findChromium();
if (chromium === undefined)
  throw new Error('there is no Chromium: CHROMIUM_BINARY, or apt-get install chromium');
await using jaeger = await startJaeger(
  assets === '' ? [] : [`--set=extensions.jaeger_query.ui.assets_path=${assets}`],
);
if (jaeger === undefined) throw new Error(noJaegerHere);
const { url } = jaeger;

await using open = new AsyncDisposableStack();
const servers = await startTestServers();
open.defer(() => servers.stop());
const pipeline = open.use(
  await createPipeline(servers, { partitions: 3, env: { ...jaeger.env, TRACE_SAMPLE_RATE: '1' } }),
);
await pipeline.start('connector');
await pipeline.start('writer');
const logins = sampleLogins(seededRandom(1));
const sendLogins = (count: number) =>
  sendAll(
    pipeline.queue,
    Array.from({ length: count }, () => JSON.stringify(logins.next().value)),
  );
// The first batches of a process are not what it is like.
await sendLogins(300);
await settled(pipeline);
const ids = await sendLogins(10);
await sendAll(
  pipeline.queue,
  hostileInputs()
    .filter(({ notThroughSqs }) => notThroughSqs !== true)
    .map(({ body }) => body.toString()),
);
await settled(pipeline);
const eventId = ids.at(-1) ?? '';
const find = () =>
  findTraces(url, {
    tags: { 'messaging.message.id': eventId },
    fromMs: Date.now() - 3_600_000,
    toMs: Date.now() + 60_000,
    limit: 10,
  });
await eventually('its trace', async () => ((await find())[0]?.spans.length ?? 0) >= 5);
const [trace] = await find();

const browser = await launchChromium(chromium);
open.defer(() => browser.close());
const page = await browser.newPage({ viewport: { width: 1280, height: 560 }, deviceScaleFactor: 2 });
const images = fileURLToPath(new URL('../../docs/images/', import.meta.url));
mkdirSync(images, { recursive: true });
const shoot = async (name: string, path: string, ready: string) => {
  await page.goto(`${url}${path}`);
  await page.getByText(ready).first().waitFor();
  // Its graph is drawn once more after the texts are there.
  await page.waitForTimeout(1_500);
  await page.screenshot({ path: join(images, name) });
  process.stdout.write(`docs/images/${name}\n`);
};
await shoot('jaeger-trace.png', `/trace/${trace?.traceId}`, 'insert user_logins');
await page.setViewportSize({ width: 1280, height: 800 });
const tags = new URLSearchParams({
  service: 'sluice-writer',
  tags: JSON.stringify({ 'sluice.dead_letter.stage': 'parse' }),
  lookback: '1h',
  limit: '20',
});
await shoot('jaeger-dead-letters.png', `/search?${tags.toString()}`, 'Traces');
