import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { PipelineError } from '../../shared/errors.ts';

/** How to run `sluice` as a user would: another process of the same Node. */
export interface Launcher {
  readonly node: string;
  /** bin/sluice.js */
  readonly script: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Runs a command to its end and returns what it printed on standard output. @throws PipelineError with the command's own words. */
export async function runCommand(
  launcher: Launcher,
  args: readonly string[],
  options: { echo?: (line: string) => void; okCodes?: readonly number[] } = {},
): Promise<{ stdout: string; code: number }> {
  const child = spawn(launcher.node, [launcher.script, ...args], {
    cwd: launcher.cwd,
    env: launcher.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const line of text.split('\n')) if (line.trim() !== '') options.echo?.(line);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await ended(child);
  if (code === 0 || options.okCodes?.includes(code)) return { stdout, code };
  const words =
    stderr
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^sluice: /, '') ?? '';
  throw new PipelineError('STACK', `"sluice ${args.join(' ')}" ended with ${code}: ${words}`);
}

/** A service in the background, its log in a file. */
export interface Background {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** What it has logged since it was started. */
  log(): string;
  /** Undefined while it runs. */
  readonly exitCode: number | undefined;
  /** SIGTERM, then SIGKILL when it has not ended within `graceMs`. Resolves with the exit code. */
  stop(graceMs: number): Promise<number>;
  /** Leaves it running when this process ends. */
  release(): void;
}

export async function startService(launcher: Launcher, name: string, logFile: string): Promise<Background> {
  const log = await open(logFile, 'a');
  const { size: before } = await log.stat();
  const child = spawn(launcher.node, [launcher.script, name], {
    cwd: launcher.cwd,
    env: launcher.env,
    stdio: ['ignore', log.fd, log.fd],
    detached: true,
  });
  const end = ended(child);
  await log.close();
  const pid = child.pid;
  if (pid === undefined) throw new PipelineError('STACK', `"sluice ${name}" did not start`);
  return {
    name,
    pid,
    logFile,
    log: () => readFileSync(logFile).subarray(before).toString('utf8'),
    get exitCode() {
      return child.exitCode ?? (child.signalCode === null ? undefined : 1);
    },
    async stop(graceMs) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      const code = await end;
      clearTimeout(timer);
      return code;
    },
    release: () => child.unref(),
  };
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}
