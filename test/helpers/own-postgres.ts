import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capture } from '../../services/local-stack/commands.ts';
import { adminUrl, postgresServer } from '../../services/local-stack/postgres.ts';
import { isRunning, stopProcess, type ProcessIdentity } from '../../services/local-stack/processes.ts';
import { startServer } from '../../services/local-stack/server.ts';
import {
  ensurePasswords,
  makePrivate,
  saveState,
  stackPaths,
} from '../../services/local-stack/stack-state.ts';
import { choosePort } from '../../services/local-stack/tcp-ports.ts';
import { guardDirectory } from './servers.ts';

/** A Postgres of one test alone, durable, which it may break as it likes. Disposal ends it and takes its directory away. */
export interface OwnPostgres extends AsyncDisposable {
  readonly port: number;
  readonly password: string;
  readonly adminUrl: string;
  /** Everything of it lies below this. */
  readonly root: string;
  /** Its data directory. */
  readonly data: string;
  /** Starts it unless it runs, and waits until it answers. */
  start(): Promise<void>;
  /** SIGKILL of the postmaster; its children follow. */
  kill(): Promise<void>;
}

/**
 * Makes its data and does not start it. `prepare` is called before there are data, `settings` are `name=value`; `copyOf` is another that
 * has never run: what it has, password included, this one has too.
 */
export async function openOwnPostgres(options: {
  readonly settings?: readonly string[];
  readonly prepare?: (root: string) => Promise<void>;
  readonly copyOf?: OwnPostgres;
}): Promise<OwnPostgres> {
  await using opening = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-postgres-'));
  opening.defer(await guardDirectory(directory));
  const paths = stackPaths(directory);
  const port = await choosePort([], new Set());
  for (const path of [paths.logs, paths.postgres]) makePrivate(path);
  await mkdir(paths.credentials, { recursive: true });
  const ports = { postgres: port, sqs: port, kafka: [], controllers: [] };
  const remember = (processes: Record<string, ProcessIdentity>) =>
    saveState(directory, { version: 1, brokers: 1, ports, processes });
  remember({});
  await options.prepare?.(paths.root);
  const data = join(paths.postgres, 'data');
  if (options.copyOf !== undefined) await copy(options.copyOf.data, data);
  const password = options.copyOf?.password ?? ensurePasswords(directory).postgres;
  const server = postgresServer({ paths, port, password, durable: true, settings: options.settings ?? [] });
  await server.prepare();
  let running: ProcessIdentity | undefined;
  const owned = opening.move();
  return {
    port,
    password,
    adminUrl: adminUrl(port, password, 'postgres'),
    root: paths.root,
    data,
    async start() {
      if (running !== undefined && (await isRunning(running))) return;
      const launched = (identity: ProcessIdentity) => {
        running = identity;
        remember({ postgres: identity });
      };
      const { signal } = new AbortController();
      await startServer(server, { launched, progress: () => {}, signal });
    },
    async kill() {
      if (running !== undefined) await stopProcess(running, { signal: 'SIGKILL', graceMs: 20_000 });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** With owners and modes. */
async function copy(from: string, to: string): Promise<void> {
  const { code } = await capture('cp', ['-a', from, to]);
  if (code !== 0) throw new Error(`${from} cannot be copied`);
}
