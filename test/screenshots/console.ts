import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import type { BrowserContextOptions } from 'playwright-core';
import { maintainDays } from '../../services/maintenance/maintain.ts';
import { hostileInputs } from '../../services/demo/hostile-inputs.ts';
import { sampleLogins, seededRandom } from '../../services/demo/sample-logins.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { openKeyKeeper } from '../../shared/vault/open-vault.ts';
import { addDays, dayOf, msPerDay } from '../../shared/time.ts';
import { findChromium, launchChromium, noChromiumHere } from '../helpers/chromium.ts';
import { startLoad } from '../helpers/load.ts';
import { createPipeline, eventually, type ServiceProcess } from '../helpers/pipeline.ts';
import { sendAll } from '../helpers/queues.ts';
import { startTestServers } from '../helpers/servers.ts';
import { settled } from '../helpers/settle.ts';

/**
 * `node test/screenshots/console.ts`: the pictures of the console in docs/images, from a pipeline of its own: well, and behind after its writers
 * were stopped. Needs a Chromium. An hour of history is made of a minute's rows by dating them, and their entries in the ledger, back.
 */
const chromium = findChromium();
if (chromium === undefined) throw new Error(noChromiumHere);

await using open = new AsyncDisposableStack();
const servers = await startTestServers();
open.defer(() => servers.stop());
const pipeline = open.use(
  await createPipeline(servers, { partitions: 6, env: { HEALTH_PORT: '0', WRITER_BATCH_RECORDS: '20' } }),
);

async function portOf(service: ServiceProcess): Promise<string> {
  let port: string | undefined;
  await eventually('its port', async () => {
    port = /"port":(\d+),"msg":"health"/.exec(await readFile(service.logFile, 'utf8'))?.[1];
    return port !== undefined;
  });
  return port ?? '';
}

const today = dayOf(Date.now());
await pipeline.run('shred', '--day', addDays(today, -9), '--reason', 'a request', '--ticket', 'DPO-7');
await maintainDays({
  database: pipeline.admin,
  keeper: await openKeyKeeper({ VAULT_URL: pipeline.env['VAULT_URL'] ?? '' }),
  tables: ['user_logins'],
  clock: () => Date.now() - 12 * msPerDay,
});
await pipeline.run('archive', '--older-than', '22d');
const connector = await pipeline.start('connector');
const writers = [await pipeline.start('writer'), await pipeline.start('writer')];
const maintain = await pipeline.start('maintain', {}, ['--every', '1h']);

const random = seededRandom(3);
const logins = sampleLogins(random);
const history = 58;
for (let minute = 0; minute < history; minute += 1) {
  const count = Math.round(300 + 90 * Math.sin(minute / 8) + 80 * random());
  await sendAll(
    pipeline.queue,
    Array.from({ length: count }, () => JSON.stringify(logins.next().value)),
  );
}
const wrong = hostileInputs().filter(({ notThroughSqs }) => notThroughSqs !== true);
await sendAll(
  pipeline.queue,
  wrong.slice(0, 9).map(({ body }) => body.toString()),
);
await settled(pipeline);
await pipeline.run('dlq', 'redrive', '--code', 'APP_VERSION');
await settled(pipeline);
// In the order in which they came; two of those minutes were slow.
await pipeline.admin.execute(sql`
  with placed as (
    select create_date, event_id, ntile(${history}) over (order by ingested_at, event_id) as minute, random() as chance
    from user_logins
  )
  update user_logins set ingested_at = at, sent_at = at - taken * interval '1 second'
  from placed, lateral (
    select date_trunc('minute', now()) - make_interval(mins => ${history} + 1 - minute::integer) + chance * interval '59 seconds' as at,
      (case when minute between 31 and 33 then 2.5 when chance > 0.97 then 0.6 else 0.045 end) * (0.6 + random() + sin(minute / 6.0) / 5) as taken
  ) made
  where user_logins.create_date = placed.create_date and user_logins.event_id = placed.event_id`);
await pipeline.admin.execute(sql`
  update ledger set written_at = date_trunc('minute', now()) - make_interval(mins => ${history} + 1 - minute::integer) + interval '30 seconds'
  from (select id, ntile(${history}) over (order by id) as minute from ledger) placed where ledger.id = placed.id`);

const load = startLoad(pipeline.queue, { perSecond: 6, seed: 5 });
open.defer(() => load.stop());
const ports = await Promise.all([connector, ...writers, maintain].map(portOf));
const served = await pipeline.start('console', {
  CONSOLE_PORT: '0',
  SERVICE_URLS: ports.map((port) => `http://127.0.0.1:${port}`).join(','),
});
let url = '';
await eventually('the console', async () => {
  url = /"url":"([^"]+)"/.exec(await readFile(served.logFile, 'utf8'))?.[1] ?? '';
  return url !== '';
});

// Until the rate of rows, which is of twenty seconds, is that of the load.
await sleep(25_000);
const browser = await launchChromium(chromium);
open.defer(() => browser.close());
const images = fileURLToPath(new URL('../../docs/images/', import.meta.url));
mkdirSync(images, { recursive: true });

async function shoot(name: string, options: BrowserContextOptions & { fullPage: boolean; state: string }) {
  const { fullPage, state, ...context } = options;
  const page = await (await browser.newContext(context)).newPage();
  await page.goto(url);
  await page.locator('#dead-letters table').waitFor();
  await page.locator(`body.${state}`).waitFor({ timeout: 120_000 });
  // Rates take a few looks.
  await page.waitForTimeout(8_000);
  await page.screenshot({ path: join(images, name), fullPage });
  await page.context().close();
  process.stdout.write(`docs/images/${name}\n`);
}
const wide = { viewport: { width: 1280, height: 800 }, fullPage: true };
const phone = {
  viewport: { width: 390, height: 844 },
  deviceScaleFactor: 2,
  isMobile: true,
  fullPage: false,
};
await shoot('console-light.png', { ...wide, state: 'attention' });
await shoot('console-dark.png', { ...wide, colorScheme: 'dark', state: 'attention' });
for (const writer of writers) await writer.kill('SIGTERM');
await shoot('console-phone.png', { ...phone, state: 'behind' });
