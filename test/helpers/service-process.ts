import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';

/** A program in the background, its output in a file. */
export interface ServiceProcess {
  readonly pid: number;
  readonly logFile: string;
  /** The exit code, or the signal that ended it; undefined while it runs. */
  readonly ended: number | string | undefined;
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | string>;
  /** Peak resident memory so far, bytes. */
  peakMemory(): Promise<number>;
}

/** Starts `command` with exactly `env`, its output appended to `logFile`. */
export async function startProcess(
  command: string,
  args: readonly string[],
  logFile: string,
  env: Record<string, string>,
): Promise<ServiceProcess> {
  const log = await open(logFile, 'a');
  const child = spawn(command, args, { env, stdio: ['ignore', log.fd, log.fd] });
  const end = ended(child);
  // Of a program that is not there: told below.
  end.catch(() => undefined);
  await log.close();
  if (child.pid === undefined) throw new Error(`${command} did not start`);
  const { pid } = child;
  return {
    pid,
    logFile,
    get ended() {
      return child.exitCode ?? child.signalCode ?? undefined;
    },
    async kill(signal) {
      child.kill(signal);
      return end;
    },
    async peakMemory() {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1_024;
    },
  };
}

/** Resolves with the exit code, or the signal, once its output is at an end too. */
export function ended(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 1));
  });
}
