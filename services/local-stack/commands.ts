import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

export interface Captured {
  /** The exit code, 127 when the program cannot be run (as a shell has it), 128 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a short-lived program to its end. Never rejects. */
export async function capture(
  command: string,
  args: readonly string[],
  options: {
    readonly uid?: number;
    readonly gid?: number;
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Captured> {
  try {
    // Throws at once or emits `error`, as the reason has it.
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const output = Promise.all([text(child.stdout), text(child.stderr)]);
    output.catch(() => undefined);
    const [code] = await once(child, 'close');
    const [stdout, stderr] = await output;
    return { code: typeof code === 'number' ? code : 128, stdout, stderr };
  } catch {
    return { code: 127, stdout: '', stderr: '' };
  }
}
