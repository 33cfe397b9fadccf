import type { RequestListener } from 'node:http';
import type { Logger } from '../log.ts';
import { observeHealth } from '../telemetry/observe-process.ts';
import { noTelemetry, type Telemetry } from '../telemetry/telemetry.ts';
import type { Health, HealthReport } from './health.ts';
import { servePages, type PageServer } from './pages.ts';

const superviseEveryMs = 1_000;

/**
 * Answers `GET /livez` and `GET /readyz` with JSON: 200 when all is well, 503 when not. Port 0 is any that is free.
 * @param options.more other pages at the same port
 * @throws PipelineError CONFIG_INVALID when the port is taken or may not be used
 */
export function serveHealth(
  health: Health,
  options: {
    readonly host: string;
    readonly port: number;
    readonly more?: ReadonlyMap<string, RequestListener>;
  },
): Promise<PageServer> {
  const probe =
    (report: () => HealthReport): RequestListener =>
    (_request, response) => {
      const { ok, body } = report();
      response
        .writeHead(ok ? 200 : 503, { 'content-type': 'application/json', 'cache-control': 'no-store' })
        .end(`${JSON.stringify(body)}\n`);
    };
  const pages = new Map<string, RequestListener>([
    ['/livez', probe(() => health.live())],
    ['/readyz', probe(() => health.ready())],
    ...(options.more ?? []),
  ]);
  return servePages(pages, { ...options, setting: 'HEALTH' });
}

/** Where a process answers probes and scrapes: of a variable that is not set, nowhere. */
export interface ProbeConfig {
  readonly HEALTH_HOST: string;
  readonly HEALTH_PORT?: number | undefined;
  readonly METRICS_HOST?: string;
  readonly METRICS_PORT?: number | undefined;
}

/**
 * The health of a process, served where HEALTH_PORT says so, and its metrics where METRICS_PORT does; the same port may be both. **A
 * loop that is stuck ends the process**, with its reason in the log and exit code 1, at once: what hangs would not let it end in order,
 * and nothing is lost by it.
 *
 * @throws PipelineError CONFIG_INVALID, see {@link serveHealth}
 */
export async function superviseHealth(
  health: Health,
  options: {
    readonly config: ProbeConfig;
    readonly log: Logger;
    readonly process: { exit(code: number): unknown };
    readonly telemetry?: Telemetry;
  },
): Promise<AsyncDisposable> {
  const { config, log, telemetry = noTelemetry } = options;
  await using open = new AsyncDisposableStack();
  observeHealth(telemetry.metrics, health);
  for (const { what, serving } of servers(health, config, telemetry)) {
    const server = open.use(await serving);
    log.info(
      { host: what === 'metrics' ? config.METRICS_HOST : config.HEALTH_HOST, port: server.port },
      what,
    );
  }
  const timer = setInterval(() => {
    const stuck = health.stuck?.stalled();
    if (stuck === undefined) return;
    log.error({ code: stuck.code, reason: stuck.message }, 'stuck: ending');
    options.process.exit(1);
  }, superviseEveryMs).unref();
  open.defer(() => clearInterval(timer));
  return open.move();
}

function* servers(health: Health, config: ProbeConfig, { scrape }: Telemetry) {
  const { HEALTH_HOST: host, HEALTH_PORT: port, METRICS_PORT, METRICS_HOST = host } = config;
  const more = new Map(scrape === undefined ? [] : [['/metrics', scrape] as const]);
  const shared = port !== undefined && port !== 0 && port === METRICS_PORT;
  if (port !== undefined) {
    yield { what: 'health', serving: serveHealth(health, { host, port, ...(shared ? { more } : {}) }) };
  }
  if (METRICS_PORT !== undefined && scrape !== undefined && !shared) {
    const at = { host: METRICS_HOST, port: METRICS_PORT, setting: 'METRICS' as const };
    yield { what: 'metrics', serving: servePages(more, at) };
  }
}
