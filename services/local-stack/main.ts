import { fileURLToPath } from 'node:url';
import { exportLines, stackEnvironment } from './environment.ts';
import { findJaeger, noJaeger } from './jaeger.ts';
import { resetStack, runningStack, stackStatus, startStack, stopStack } from './local-stack.ts';
import type { Brokers } from './stack-state.ts';
import { statusTable } from './status-table.ts';

export type StackAction = 'up' | 'down' | 'reset' | 'status' | 'env';

export interface StackCommandOptions {
  readonly brokers?: Brokers;
  readonly json?: boolean;
  /** With a Jaeger, if there is a program of it. */
  readonly observe?: boolean;
  /** Where the stack lies; the checkout's `.sluice` when left out. */
  readonly directory?: string;
}

/**
 * `sluice stack <action>`. Exit code 0: done, or for `status` every server is ready; 1 for `status` otherwise.
 *
 * @throws PipelineError STACK
 */
export async function stack(action: StackAction, options: StackCommandOptions): Promise<number> {
  const directory = options.directory ?? fileURLToPath(new URL('../../.sluice', import.meta.url));
  const json = options.json === true;
  switch (action) {
    case 'up':
      return await up(directory, options);
    case 'status':
      return await status(directory, json);
    case 'env':
      return await environment(directory, json);
    case 'down':
      await stopStack(directory, print);
      return 0;
    default:
      await resetStack(directory, print);
      return 0;
  }
}

async function status(directory: string, json: boolean): Promise<number> {
  const servers = await stackStatus(directory);
  print(json ? JSON.stringify(servers) : statusTable(servers));
  return servers.length > 0 && servers.every(({ health }) => health === 'ready') ? 0 : 1;
}

async function environment(directory: string, json: boolean): Promise<number> {
  const variables = stackEnvironment(await runningStack(directory));
  process.stdout.write(json ? `${JSON.stringify(variables)}\n` : exportLines(variables));
  return 0;
}

async function up(directory: string, options: StackCommandOptions): Promise<number> {
  const { brokers } = options;
  const jaeger = options.observe === true ? await findJaeger(process.env) : undefined;
  if (options.observe === true && jaeger === undefined) print(noJaeger);
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    await startStack({
      directory,
      jaeger,
      progress: print,
      signal: interrupt.signal,
      ...(brokers === undefined ? {} : { brokers }),
    });
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  print('up. For the settings in this shell: eval "$(npx sluice stack env)"');
  return 0;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
