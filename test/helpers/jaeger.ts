import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findJaeger, jaegerServer, jaegerUrl } from '../../services/local-stack/jaeger.ts';
import { makePrivate, stackPaths } from '../../services/local-stack/stack-state.ts';
import { startServer } from '../../services/local-stack/server.ts';
import { stopProcess, type ProcessIdentity } from '../../services/local-stack/processes.ts';
import { choosePort } from '../../services/local-stack/tcp-ports.ts';

/** What a test says that needs one and has none. */
export const noJaegerHere =
  'skipped: there is no Jaeger (JAEGER_BINARY names none, and no "jaeger" is on the PATH)';

export interface TestJaeger extends AsyncDisposable {
  /** Of its query API. */
  readonly url: string;
  /** What makes a service send its spans there, soon. */
  readonly env: Readonly<Record<string, string>>;
  readonly grpcEndpoint: string;
}

/** A real Jaeger on free ports, with a directory of its own and these further arguments; undefined where there is none to start. */
export async function startJaeger(args: readonly string[] = []): Promise<TestJaeger | undefined> {
  const program = await findJaeger({
    JAEGER_BINARY: process.env['JAEGER_BINARY'],
    PATH: process.env['PATH'],
  });
  if (program === undefined) return undefined;
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-jaeger-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const paths = stackPaths(directory);
  makePrivate(paths.logs);
  await writeFile(join(paths.logs, 'jaeger.log'), '');
  const taken = new Set<number>();
  const port = async () => {
    const chosen = await choosePort([], taken);
    taken.add(chosen);
    return chosen;
  };
  const ports = { query: await port(), grpc: await port(), http: await port() };
  const launched: ProcessIdentity[] = [];
  cleanup.defer(async () => {
    for (const one of launched) await stopProcess(one, { signal: 'SIGTERM', graceMs: 5_000 });
  });
  const server = jaegerServer({ paths, ports, program });
  const prepare = async () => {
    const prepared = await server.prepare();
    return { ...prepared, args: [...prepared.args, ...args] };
  };
  await startServer(Object.assign({}, server, { prepare }), {
    progress: () => {},
    signal: new AbortController().signal,
    launched: (identity) => launched.push(identity),
  });
  const owned = cleanup.move();
  return {
    url: jaegerUrl(ports),
    grpcEndpoint: `http://127.0.0.1:${ports.grpc}`,
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${ports.http}`,
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_BSP_SCHEDULE_DELAY: '200',
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
