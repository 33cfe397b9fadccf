import { mkdtemp, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureKafkaJars, kafkaJars, sharedCache } from '../../services/local-stack/kafka-jars.ts';
import { brokerList, kafkaServers, type BrokerSettings } from '../../services/local-stack/kafka.ts';
import { adminUrl, postgresServer } from '../../services/local-stack/postgres.ts';
import { isRunning, stopProcess } from '../../services/local-stack/processes.ts';
import { startServer, type Server } from '../../services/local-stack/server.ts';
import { sqsEndpoint, sqsServer } from '../../services/local-stack/sqs.ts';
import {
  ensurePasswords,
  makePrivate,
  readSaved,
  saveState,
  stackPaths,
  type StackPorts,
} from '../../services/local-stack/stack-state.ts';
import { choosePort, loopback } from '../../services/local-stack/tcp-ports.ts';
import { guardDirectory } from './servers.ts';

/** Servers that may be killed: where they are, in a form that can be handed to test workers. */
export interface FaultCluster {
  readonly directory: string;
  readonly ports: StackPorts;
  /** Where the brokers listen for clients that come through a proxy. */
  readonly behindProxy: readonly number[];
  /** Free ports, for the proxies of whoever runs a test: the brokers advertise those of `kafka`. */
  readonly proxies: { readonly postgres: number; readonly sqs: number; readonly kafka: readonly number[] };
}

export type ServerName = 'postgres' | 'sqs' | 'kafka-1' | 'kafka-2' | 'kafka-3';
export const brokerNames = ['kafka-1', 'kafka-2', 'kafka-3'] as const;

/** Also those of other clusters: nobody listens on a proxy's port between two tests. */
const taken = new Set<number>();

/**
 * Below those that kernels give to outgoing connections (Linux from 32768, macOS and Windows from 49152): one of these could get the port of a server that is
 * down, or of a proxy between two tests, and keep it.
 */
function keptPorts(): number[] {
  return Array.from({ length: 200 }, () => 20_000 + Math.floor(Math.random() * 12_000));
}

/**
 * Postgres, SQS and three brokers of their own, for tests that break them: those that every other test uses stay whole. Postgres is
 * durable, for it is killed.
 */
export async function startFaultCluster(): Promise<{ cluster: FaultCluster; stop: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-fault-'));
  const stop = await guardDirectory(directory);
  try {
    const port = async (): Promise<number> => {
      const chosen = await choosePort(keptPorts(), taken);
      taken.add(chosen);
      return chosen;
    };
    const three = async () => [await port(), await port(), await port()];
    const cluster: FaultCluster = {
      directory,
      ports: { postgres: await port(), sqs: await port(), kafka: await three(), controllers: await three() },
      behindProxy: await three(),
      proxies: { postgres: await port(), sqs: await port(), kafka: await three() },
    };
    const paths = stackPaths(directory);
    for (const path of [paths.logs, paths.kafka, paths.sqs]) makePrivate(path);
    await mkdir(paths.credentials, { recursive: true });
    await ensureKafkaJars(sharedCache, () => {});
    saveState(directory, { version: 1, brokers: 3, ports: cluster.ports, processes: {} });
    await new FaultServers(cluster).start('postgres', 'sqs', ...brokerNames);
    return { cluster, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * A second listener, which sends clients back through the proxy, and no ten seconds until a dead broker is taken for dead and may
 * come back.
 */
function settingsOf({ ports, behindProxy, proxies }: FaultCluster, index: number): BrokerSettings {
  const at = (name: string, port: number | undefined) => `${name}://${loopback}:${port}`;
  const plain = at('PLAINTEXT', ports.kafka[index]);
  const controller = at('CONTROLLER', ports.controllers[index]);
  return {
    listeners: `${plain},${at('PROXIED', behindProxy[index])},${controller}`,
    'advertised.listeners': `${plain},${at('PROXIED', proxies.kafka[index])}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT',
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
  };
}

/** Kills and starts the servers of a {@link FaultCluster}. */
export class FaultServers {
  readonly cluster: FaultCluster;
  readonly #servers: ReadonlyMap<string, Server>;
  readonly #adminPassword: string;

  constructor(cluster: FaultCluster) {
    this.cluster = cluster;
    const paths = stackPaths(cluster.directory);
    const { ports } = cluster;
    this.#adminPassword = ensurePasswords(cluster.directory).postgres;
    this.#servers = new Map(
      [
        postgresServer({ paths, port: ports.postgres, password: this.#adminPassword, durable: true }),
        sqsServer({ paths, port: ports.sqs, durable: false }),
        ...kafkaServers({
          paths,
          ports,
          jars: kafkaJars(sharedCache),
          settings: (index) => settingsOf(cluster, index),
        }),
      ].map((server) => [server.name, server]),
    );
  }

  /** The servers themselves, not through proxies. */
  get direct(): { postgresAdminUrl: string; kafkaBrokers: string; sqsEndpoint: string } {
    const { ports } = this.cluster;
    return {
      postgresAdminUrl: adminUrl(ports.postgres, this.#adminPassword, 'postgres'),
      kafkaBrokers: brokerList(ports),
      sqsEndpoint: sqsEndpoint(ports.sqs),
    };
  }

  /** SIGKILL, and gone when this resolves. Postgres takes its children along before it can be started again. */
  kill(...names: ServerName[]): Promise<void> {
    return this.#end(names, 'SIGKILL');
  }

  /** An orderly end: what an upgrade does. Postgres ends its sessions. */
  async stop(...names: ServerName[]): Promise<void> {
    const postgres = names.filter((name) => name === 'postgres');
    await this.#end(postgres, 'SIGINT');
    await this.#end(
      names.filter((name) => name !== 'postgres'),
      'SIGTERM',
    );
  }

  /** Starts those named, together, on the ports they had, and waits until they are ready. */
  async start(...names: ServerName[]): Promise<void> {
    const { directory } = this.cluster;
    const { signal } = new AbortController();
    await Promise.all(
      names.map(async (name) => {
        const server = this.#servers.get(name);
        if (server === undefined) throw new Error(`no server ${name}`);
        const launched = (identity: { pid: number; started: string }) => {
          const saved = readSaved(directory);
          if (saved === undefined) throw new Error('the state of the servers is gone');
          saveState(directory, { ...saved, processes: { ...saved.processes, [name]: identity } });
        };
        await startServer(server, { launched, progress: () => {}, signal });
      }),
    );
  }

  /** Starts whatever does not run: a test that failed half-way must not fail the next. */
  async restore(): Promise<void> {
    const processes = readSaved(this.cluster.directory)?.processes ?? {};
    const gone: ServerName[] = [];
    for (const name of ['postgres', 'sqs', ...brokerNames] as const) {
      const identity = processes[name];
      if (identity === undefined || !(await isRunning(identity))) gone.push(name);
    }
    await this.start(...gone);
  }

  async #end(names: readonly ServerName[], signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT'): Promise<void> {
    const processes = readSaved(this.cluster.directory)?.processes ?? {};
    await Promise.all(
      names.map(async (name) => {
        const identity = processes[name];
        if (identity !== undefined) await stopProcess(identity, { signal, graceMs: 20_000 });
      }),
    );
  }
}
