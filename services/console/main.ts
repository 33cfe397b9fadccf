import { PipelineError } from '../../shared/errors.ts';
import { runUntilStopped, sleep } from '../../shared/lifecycle.ts';
import { createLogger } from '../../shared/log.ts';
import { prettyDestination } from '../../shared/pretty-log.ts';
import { writeText } from '../../shared/output.ts';
import { consoleConfig, statusConfig } from './config.ts';
import type { Snapshot } from './look/snapshot.ts';
import { Watch } from './look/watch.ts';
import { serveConsole } from './serve.ts';
import { statusText } from './status-text.ts';

/** A rate takes two looks. */
const betweenLooksMs = 2_000;
/** Clears the screen and what was scrolled out of it. */
const clearScreen = '\u001b[2J\u001b[3J\u001b[H';

/**
 * `sluice status`: whether the pipeline is well, and what waits because of what. Servers that do not answer are part of the answer. The exit code
 * is 0 when it is well; with `watch`, always.
 *
 * @throws PipelineError CONFIG_INVALID
 */
export async function status(options: { json?: boolean; watch?: boolean }): Promise<number> {
  const config = statusConfig(process.env);
  // What a server says is in the answer.
  const log = createLogger({ service: 'status', level: 'silent' });
  await using watch = new Watch(config, { log, clock: Date.now, name: 'sluice-status' });
  const print = (snapshot: Snapshot) =>
    writeText(process.stdout, options.json === true ? `${JSON.stringify(snapshot)}\n` : statusText(snapshot));
  let last = await watch.look();
  if (options.watch !== true) {
    await sleep(betweenLooksMs);
    last = await watch.look();
    await print(last);
    return last.verdict.state === 'well' ? 0 : 1;
  }
  await runUntilStopped(process, log, async ({ stop }) => {
    while (!stop.aborted) {
      if (options.json !== true) await writeText(process.stdout, clearScreen);
      await print(last);
      await sleep(betweenLooksMs, stop);
      last = await watch.look();
    }
  });
  return 0;
}

/**
 * `sluice console`: the same as a page in the browser, until SIGTERM. On this machine alone unless CONSOLE_HOST says otherwise, and then only for
 * those who show CONSOLE_TOKEN.
 *
 * @throws PipelineError CONFIG_INVALID
 */
export async function consolePage(options: { pretty?: boolean }): Promise<number> {
  const config = consoleConfig(process.env);
  const {
    CONSOLE_HOST: host,
    CONSOLE_PORT: port,
    CONSOLE_TOKEN: token,
    CONSOLE_ALLOWED_HOSTS: hosts = [],
  } = config;
  if (token === undefined && !/^(127\.|::1$)/.test(host)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      'CONSOLE_HOST is not this machine alone, and CONSOLE_TOKEN is not set (openssl rand -base64 24)',
    );
  }
  const log = createLogger({
    service: 'console',
    level: config.LOG_LEVEL,
    destination: options.pretty === true ? await prettyDestination() : undefined,
  });
  await using watch = new Watch(config, { log, clock: Date.now, name: 'sluice-console' });
  await using server = await serveConsole({ host, port, token, hosts, look: () => watch.look() });
  const address = host.includes(':') ? `[${host}]` : host;
  log.info({ url: `http://${address}:${server.port}/`, authentication: token !== undefined }, 'console');
  await runUntilStopped(process, log, ({ stop }) => aborted(stop));
  return 0;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
