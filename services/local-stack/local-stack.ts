import { sql } from 'drizzle-orm';
import { rm } from 'node:fs/promises';
import { openDatabase } from '../../db/client.ts';
import { ensureLogins } from '../../db/logins.ts';
import { PipelineError } from '../../shared/errors.ts';
import { createFileVault } from '../../shared/vault/open-vault.ts';
import { databaseName } from './environment.ts';
import { withFileLock } from './lock.ts';
import { adminUrl } from './postgres.ts';
import { isRunning, type ProcessIdentity } from './processes.ts';
import type { Progress, Server } from './server.ts';
import { serversOf, startServers, stopServers } from './servers.ts';
import { makePrivate, readState, stackPaths, type Brokers, type StackState } from './stack-state.ts';

export interface StackOptions {
  /** Where the stack keeps everything, `.sluice` for the checkout's own. Stacks in other directories do not meet it. */
  readonly directory: string;
  /** Left out: as many as the directory's data is for, 1 when there is none. */
  readonly brokers?: Brokers;
  /** False: any free ports, even if the usual ones (5432, 9092, 4566) can be had. */
  readonly usualPorts?: boolean;
  /** Jaeger's program, to have one beside the others. */
  readonly jaeger?: string | undefined;
  readonly progress: Progress;
  /** Gives up and stops again what was started. */
  readonly signal?: AbortSignal;
}

/**
 * Brings the servers up in the background, with the database, the login roles, the queues and the vault that the services
 * need; topics and tables are for `sluice migrate`. What runs already is left alone, and several at once take turns. If it
 * fails, what this call started is stopped.
 *
 * @throws PipelineError STACK, saying what to install or which log to read
 */
export async function startStack(options: StackOptions): Promise<StackState> {
  const { directory, progress } = options;
  const paths = stackPaths(directory);
  return await locked(directory, progress, () =>
    startServers({
      ...options,
      usualPorts: options.usualPorts ?? true,
      durable: true,
      prepare: async ({ ports, passwords }) => {
        await ensureDatabase(adminUrl(ports.postgres, passwords.postgres, 'postgres'));
        await ensureLogins(adminUrl(ports.postgres, passwords.postgres, databaseName), passwords);
        makePrivate(paths.vault);
        await createFileVault(paths.vault, paths.recovererKey);
      },
    }),
  );
}

/** Stops the servers, waits until they are gone and keeps their data. Nothing to stop is no error. */
export async function stopStack(directory: string, progress: Progress = () => {}): Promise<void> {
  await locked(directory, progress, () => stopServers(directory, progress));
}

/** {@link stopStack}, then deletes everything but the downloads. */
export async function resetStack(directory: string, progress: Progress = () => {}): Promise<void> {
  await locked(directory, progress, async () => {
    await stopServers(directory, progress);
    const { state, postgres, kafka, sqs, vault, archive, credentials, logs, jaegerConfig } =
      stackPaths(directory);
    for (const path of [postgres, kafka, sqs, vault, archive, credentials, logs, jaegerConfig, state]) {
      await rm(path, { recursive: true, force: true });
    }
  });
}

export interface ServerStatus {
  readonly server: string;
  readonly port: number;
  /** Absent unless it runs. */
  readonly pid?: number;
  /** `starting` also means: runs, but does not answer. */
  readonly health: 'ready' | 'starting' | 'stopped';
  readonly log: string;
}

/** One entry a server, in a fixed order; empty when the directory holds no stack. */
export async function stackStatus(directory: string): Promise<ServerStatus[]> {
  const state = readState(directory);
  if (state === undefined) return [];
  const servers = serversOf(state, true);
  return await Promise.all(servers.map((server) => statusOf(server, state.processes[server.name])));
}

async function statusOf(server: Server, process: ProcessIdentity | undefined): Promise<ServerStatus> {
  const { name, port, logFile } = server;
  if (process === undefined || !(await isRunning(process))) {
    return { server: name, port, health: 'stopped', log: logFile };
  }
  const health = (await server.ready()) ? 'ready' : 'starting';
  return { server: name, port, pid: process.pid, health, log: logFile };
}

/** @throws PipelineError STACK unless a server of the stack runs: its ports may be others the next time. */
export async function runningStack(directory: string): Promise<StackState> {
  const state = readState(directory);
  const processes = Object.values(state?.processes ?? {});
  const running = await Promise.all(processes.map((process) => isRunning(process)));
  if (state === undefined || !running.includes(true)) {
    throw new PipelineError('STACK', 'the local stack is not running: run "npx sluice stack up"');
  }
  return state;
}

async function locked<T>(directory: string, progress: Progress, work: () => Promise<T>): Promise<T> {
  const { lock } = stackPaths(directory);
  return await withFileLock(lock, () => progress('waiting for another command on this stack'), work);
}

async function ensureDatabase(url: string): Promise<void> {
  await using database = openDatabase(url, {
    applicationName: 'sluice-stack',
    max: 1,
    statementTimeoutMs: 30_000,
  });
  const known = await database.execute(sql`select 1 from pg_database where datname = ${databaseName}`);
  if (known.rowCount === 0) await database.execute(sql.raw(`create database ${databaseName}`));
}
