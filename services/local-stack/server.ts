import { PipelineError } from '../../shared/errors.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { isRunning, launch, type LaunchOptions, type ProcessIdentity } from './processes.ts';

/** One server of the stack. */
export interface Server {
  /** `postgres`, `kafka-1`, `sqs`: in the state file, and the name of its log. */
  readonly name: string;
  readonly port: number;
  readonly logFile: string;
  /** Makes its data unless it exists and says how to run it. @throws PipelineError STACK */
  prepare(): Promise<Omit<LaunchOptions, 'logFile'>>;
  /** Whether it does its work now, not merely accepts connections. Never rejects. */
  ready(): Promise<boolean>;
}

/** Tells the user what goes on, a line at a time. */
export type Progress = (line: string) => void;

const readyWithinMs = 120_000;

/**
 * Starts a server and waits until it is ready. `launched` is called as soon as it has a pid, before the wait, so that
 * whoever stops the stack knows of it.
 *
 * @throws PipelineError STACK naming the log file, when it ends early or is not ready in two minutes, or `signal` aborts.
 */
export async function startServer(
  server: Server,
  hooks: { launched: (identity: ProcessIdentity) => void; progress: Progress; signal: AbortSignal },
): Promise<void> {
  const began = performance.now();
  const options = await server.prepare();
  if (hooks.signal.aborted) throw new PipelineError('STACK', 'interrupted');
  const identity = await launch({ ...options, logFile: server.logFile });
  hooks.launched(identity);
  await waitUntilReady(server, identity, hooks.signal);
  hooks.progress(
    `${server.name} ready on port ${server.port} (${((performance.now() - began) / 1000).toFixed(1)} s)`,
  );
}

async function waitUntilReady(server: Server, identity: ProcessIdentity, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + readyWithinMs;
  while (!(await server.ready())) {
    if (!(await isRunning(identity))) {
      throw new PipelineError('STACK', `${server.name} ended while starting; see ${server.logFile}`);
    }
    if (signal.aborted) throw new PipelineError('STACK', 'interrupted');
    if (performance.now() > deadline) {
      throw new PipelineError('STACK', `${server.name} is not ready; see ${server.logFile}`);
    }
    await sleep(100, signal);
  }
}
