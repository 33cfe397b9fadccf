import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
// The one module beside main.ts that uses `process`: signalling a process that another one started has no other door.
import { execPath, kill } from 'node:process';
import { PipelineError } from '../../shared/errors.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { capture } from './commands.ts';

/** The Node that runs this, for processes that must have the same. */
export const nodeProgram = execPath;

/** A process and when it began: a pid alone may by now belong to someone else. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; equal for the same process only. */
  readonly started: string;
}

export interface LaunchOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly cwd: string;
  /** The user to become; only root can. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/**
 * Starts a process that outlives us and hears none of our terminal's signals (a session of its own), its output
 * appended to `logFile`.
 *
 * @throws PipelineError STACK when the program cannot be run.
 */
export async function launch(options: LaunchOptions): Promise<ProcessIdentity> {
  const log = await open(options.logFile, 'a', 0o600);
  try {
    const child = await spawned(options, log.fd);
    child.unref();
    const started = child.pid === undefined ? undefined : await startOf(child.pid);
    if (child.pid === undefined || started === undefined) {
      throw new PipelineError('STACK', `${options.command} ended at once; see ${options.logFile}`);
    }
    return { pid: child.pid, started };
  } finally {
    await log.close();
  }
}

async function spawned(options: LaunchOptions, logFd: number): Promise<ChildProcess> {
  try {
    const child = spawn(options.command, options.args, {
      cwd: options.cwd,
      detached: true,
      stdio: ['ignore', logFd, logFd],
      ...options.user,
    });
    await once(child, 'spawn');
    return child;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new PipelineError('STACK', `${options.command} cannot be run (${code})`);
  }
}

/** Whether exactly this process still runs. A zombie does not: it only waits for its parent to notice. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await startOf(identity.pid)) === identity.started;
}

/**
 * Ends a process and waits until it is gone: `signal`, then SIGKILL after `graceMs`. **Another process that has been
 * given the same pid is left alone.** Idempotent.
 */
export async function stopProcess(
  identity: ProcessIdentity,
  options: { signal: NodeJS.Signals; graceMs: number },
): Promise<void> {
  for (const { signal, waitMs } of [
    { signal: options.signal, waitMs: options.graceMs },
    { signal: 'SIGKILL' as const, waitMs: 10_000 },
  ]) {
    if (!(await isRunning(identity))) return;
    signalQuietly(identity.pid, signal);
    for (let waited = 0; waited < waitMs; waited += pollMs) {
      if (!(await isRunning(identity))) return;
      await sleep(pollMs);
    }
  }
  throw new PipelineError('STACK', `process ${identity.pid} cannot be ended`);
}

const pollMs = 50;

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    kill(pid, signal);
  } catch {
    // Gone between the look and the signal: what was wanted.
  }
}

/**
 * When a process began, or undefined if it does not run. Linux: the boot's id and field 22 of /proc/PID/stat, in clock
 * ticks since that boot (proc(5)). Elsewhere `ps`, to the second.
 */
async function startOf(pid: number): Promise<string | undefined> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => undefined);
  if (boot === undefined) return startFromPs(pid);
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined ? undefined : startFromStat(stat, boot.trim());
}

/** The part of {@link startOf} that reads proc(5). The name (field 2) is in brackets and may hold spaces and brackets. */
export function startFromStat(stat: string, boot: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const ticks = fields[19];
  if (ticks === undefined || state === 'Z' || state === 'X') return undefined;
  return `${boot}:${ticks}`;
}

async function startFromPs(pid: number): Promise<string | undefined> {
  const { code, stdout } = await capture('ps', ['-o', 'stat=,lstart=', '-p', String(pid)]);
  const [state, ...started] = stdout.trim().split(/\s+/);
  if (code !== 0 || state === undefined || state.startsWith('Z')) return undefined;
  return started.join(' ');
}
