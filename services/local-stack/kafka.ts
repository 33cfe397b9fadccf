import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PipelineError } from '../../shared/errors.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { createLogger } from '../../shared/log.ts';
import { capture } from './commands.ts';
import type { Server } from './server.ts';
import type { StackPaths, StackPorts } from './stack-state.ts';
import { accepts, loopback } from './tcp-ports.ts';

export interface KafkaOptions {
  readonly paths: StackPaths;
  readonly ports: Pick<StackPorts, 'kafka' | 'controllers'>;
  /** The directory of Kafka's jars. */
  readonly jars: string;
  /** Broker settings of a node (counted from 0) beside ours, or in their place. */
  readonly settings?: (index: number) => BrokerSettings;
}

export type BrokerSettings = Readonly<Record<string, string | number | boolean>>;

/** Every stack is its own cluster, and none meets another: the id need not differ. */
const clusterId = '5L6g3nShT-eMCtK--X86sw';

/**
 * C1 only: a broker is ready in 2.3 s instead of 4.8 s (two cores) and mostly moves bytes; the serial collector spares
 * the cores for what is being tested.
 */
const jvmFlags = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** Kafka 4.3 in KRaft mode, each node broker and controller, on the machine's JVM, all on the loopback. */
export function kafkaServers(options: KafkaOptions): Server[] {
  return options.ports.kafka.map((port, index) => kafkaServer(options, port, index));
}

export function brokerList(ports: Pick<StackPorts, 'kafka'>): string {
  return ports.kafka.map((port) => `${loopback}:${port}`).join(',');
}

function kafkaServer(options: KafkaOptions, port: number, index: number): Server {
  const { paths, ports } = options;
  const name = `kafka-${index + 1}`;
  const directory = join(paths.kafka, name);
  return {
    name,
    port,
    logFile: join(paths.logs, `${name}.log`),
    async prepare() {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const properties = join(directory, 'server.properties');
      const content = brokerProperties(ports, index, join(directory, 'data'), options.settings?.(index));
      await writeFile(properties, content, { mode: 0o600 });
      const java = (heapMb: number, ...args: string[]) => [
        `-Xmx${heapMb}m`,
        ...jvmFlags,
        `-Dlog4j2.configurationFile=${fileURLToPath(new URL('kafka/log4j2.xml', import.meta.url))}`,
        '-cp',
        join(options.jars, '*'),
        ...args,
      ];
      await format(java(128, 'kafka.tools.StorageTool'), properties, directory, paths.logs);
      return { command: 'java', args: java(512, 'kafka.Kafka', properties), cwd: directory };
    },
    ready: async () => (await accepts(port)) && (await isMember(port, index + 1)),
  };
}

/** `server.properties` of node `index + 1`. Local values where Kafka's defaults mean waiting (rebalances, sessions). */
export function brokerProperties(
  ports: Pick<StackPorts, 'kafka' | 'controllers'>,
  index: number,
  data: string,
  more: BrokerSettings = {},
): string {
  const brokers = ports.kafka.length;
  const inSync = Math.min(2, brokers);
  const settings: BrokerSettings = {
    'process.roles': 'broker,controller',
    'node.id': index + 1,
    'controller.quorum.voters': ports.controllers.map((port, i) => `${i + 1}@${loopback}:${port}`).join(','),
    listeners: `PLAINTEXT://${loopback}:${ports.kafka[index]},CONTROLLER://${loopback}:${ports.controllers[index]}`,
    'advertised.listeners': `PLAINTEXT://${loopback}:${ports.kafka[index]}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'default.replication.factor': brokers,
    'min.insync.replicas': inSync,
    'offsets.topic.num.partitions': 10,
    'offsets.topic.replication.factor': brokers,
    'transaction.state.log.num.partitions': 10,
    'transaction.state.log.replication.factor': brokers,
    'transaction.state.log.min.isr': inSync,
    'share.coordinator.state.topic.replication.factor': brokers,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    // Our topics say how long they keep records. One that does not keeps them, however old their timestamps are.
    'log.retention.ms': -1,
    // Kafka would set 128 MB of a heap of 512 aside.
    'log.cleaner.dedupe.buffer.size': 16_777_216,
    ...more,
  };
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${escapeProperty(String(value))}\n`)
    .join('');
}

/** As java.util.Properties reads a value: backslash escapes, and ISO 8859-1 unless escaped. */
export function escapeProperty(value: string): string {
  return value
    .replaceAll('\\', '\\\\')
    .replaceAll(/[^\u0020-\u007e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replace(/^ /, '\\ ');
}

async function format(java: string[], properties: string, directory: string, logs: string): Promise<void> {
  const done = join(directory, 'data', 'bootstrap.checkpoint');
  if (await stat(done).catch(() => undefined)) return;
  const { code, stdout, stderr } = await capture(
    'java',
    [...java, 'format', '--ignore-formatted', '--cluster-id', clusterId, '--config', properties],
    { cwd: directory },
  );
  const logFile = join(logs, 'kafka-format.log');
  await writeFile(logFile, stdout + stderr, { mode: 0o600 });
  if (code !== 0) throw new PipelineError('STACK', `Kafka's storage cannot be formatted; see ${logFile}`);
}

/** Whether the broker at `port` knows itself as a live member of the cluster. */
async function isMember(port: number, nodeId: number): Promise<boolean> {
  const { kafka } = createKafkaClient({
    brokers: [`${loopback}:${port}`],
    clientId: 'sluice-stack',
    log: createLogger({ service: 'local-stack', level: 'silent' }),
    requestTimeoutMs: 5_000,
  }).open();
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { brokers } = await admin.describeCluster();
    return brokers.some((broker) => broker.nodeId === nodeId);
  } catch {
    return false;
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}
