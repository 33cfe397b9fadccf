import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brokerList } from '../../services/local-stack/kafka.ts';
import { adminUrl } from '../../services/local-stack/postgres.ts';
import { startServers, stopServers } from '../../services/local-stack/servers.ts';
import { sqsEndpoint } from '../../services/local-stack/sqs.ts';

export interface TestServers {
  readonly postgresAdminUrl: string;
  readonly kafkaBrokers: string;
  readonly sqsEndpoint: string;
  /** Ends exactly the processes that were started and removes their directory. */
  stop(): Promise<void>;
}

/**
 * Postgres, one Kafka broker and SQS on free ports, with their data in a new directory under the system's temporary one.
 *
 * They are detached, so that Ctrl-C reaches the test runner and not them; a guard process, detached too, waits for the end
 * of its standard input, which the kernel closes **however this process ends**, SIGKILL included, and then stops them and
 * removes the directory.
 */
export async function startTestServers(): Promise<TestServers> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  const guard = spawn(process.execPath, ['--input-type=module', '--eval', guardProgram(directory)], {
    cwd: tmpdir(),
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await once(guard, 'spawn');
  const stop = async () => {
    const ended = once(guard, 'exit');
    guard.stdin.end();
    await ended;
  };
  try {
    const { ports, passwords } = await startServers({
      directory,
      brokers: 1,
      usualPorts: false,
      durable: false,
      progress: (line) => {
        if (line.startsWith('downloading')) process.stderr.write(`${line}\n`);
      },
    });
    return {
      postgresAdminUrl: adminUrl(ports.postgres, passwords.postgres, 'postgres'),
      kafkaBrokers: brokerList(ports),
      sqsEndpoint: sqsEndpoint(ports.sqs),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Stops the servers when its standard input ends: that is both the ordinary way and the last resort. */
export async function guardTestServers(directory: string, input: NodeJS.ReadableStream): Promise<void> {
  input.resume();
  await once(input, 'end');
  await stopServers(directory, () => {});
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
}

function guardProgram(directory: string): string {
  return `
    import { stdin } from 'node:process';
    import { guardTestServers } from ${JSON.stringify(import.meta.url)};
    await guardTestServers(${JSON.stringify(directory)}, stdin);
  `;
}
