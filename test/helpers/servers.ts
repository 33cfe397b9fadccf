import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brokerList } from '../../services/local-stack/kafka.ts';
import { adminUrl } from '../../services/local-stack/postgres.ts';
import { startServers } from '../../services/local-stack/servers.ts';
import { sqsEndpoint } from '../../services/local-stack/sqs.ts';

export interface TestServers {
  readonly postgresAdminUrl: string;
  readonly kafkaBrokers: string;
  readonly sqsEndpoint: string;
  /** Ends exactly the processes that were started and removes their directory. */
  stop(): Promise<void>;
}

/** Postgres, one Kafka broker and SQS on free ports, with their data in a new directory under the system's temporary one. */
export async function startTestServers(): Promise<TestServers> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  const stop = await guardDirectory(directory);
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

/**
 * Sees to it that no server outlives this process: returns what stops those in `directory` and removes it.
 *
 * Servers are detached, so that Ctrl-C reaches the test runner and not them. A guard process, detached too, waits for the end
 * of its standard input, which the kernel closes **however this process ends**, SIGKILL included, and then does the work.
 */
export async function guardDirectory(directory: string): Promise<() => Promise<void>> {
  const program = `
    import { stdin } from 'node:process';
    import { guardServers } from ${JSON.stringify(new URL('server-guard.ts', import.meta.url).href)};
    await guardServers(${JSON.stringify(directory)}, stdin);
  `;
  const guard = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: tmpdir(),
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  await once(guard, 'spawn');
  return async () => {
    const ended = once(guard, 'exit');
    guard.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`the servers in ${directory} could not be stopped`);
  };
}
