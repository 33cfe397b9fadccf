import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brokerList } from '../../services/local-stack/kafka.ts';
import { adminUrl } from '../../services/local-stack/postgres.ts';
import { startServers } from '../../services/local-stack/servers.ts';
import { sqsEndpoint } from '../../services/local-stack/sqs.ts';
import { guardDirectory } from '../helpers/servers.ts';
import type { Servers } from '../helpers/pipeline.ts';

/**
 * Postgres as a machine that is measured has it: fsync on, room in memory, no checkpoint and no vacuum in the middle of a run; and commits remember
 * their time, which is how rates and latencies are told without looking on.
 */
export const postgresSettings = [
  'fsync=on',
  'full_page_writes=on',
  'shared_buffers=1GB',
  'max_wal_size=8GB',
  'checkpoint_timeout=15min',
  'autovacuum=off',
  'jit=off',
  'track_commit_timestamp=on',
  'track_wal_io_timing=on',
  'shared_preload_libraries=pg_stat_statements',
];

export interface BenchServers extends Servers, AsyncDisposable {
  /** Process ids of the servers. */
  readonly pids: { readonly postgres: number; readonly kafka: number; readonly sqs: number };
}

/**
 * Servers of one benchmark alone, one Kafka broker. Only Postgres is durable: an SQS stand-in that writes every message to disk takes 600 a second. They
 * end with this process, however it ends.
 */
export async function openBenchServers(
  settings: readonly string[] = postgresSettings,
): Promise<BenchServers> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  const stop = await guardDirectory(directory);
  try {
    const { ports, passwords, processes } = await startServers({
      directory,
      brokers: 1,
      usualPorts: false,
      durable: false,
      postgresSettings: settings,
      progress: (line) => console.error(line),
    });
    const pidOf = (name: string) => processes[name]?.pid ?? 0;
    return {
      postgresAdminUrl: adminUrl(ports.postgres, passwords.postgres, 'postgres'),
      kafkaBrokers: brokerList(ports),
      sqsEndpoint: sqsEndpoint(ports.sqs),
      pids: { postgres: pidOf('postgres'), kafka: pidOf('kafka-1'), sqs: pidOf('sqs') },
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
