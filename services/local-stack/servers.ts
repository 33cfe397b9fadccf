import { mkdirSync } from 'node:fs';
import { PipelineError } from '../../shared/errors.ts';
import { jaegerServer, usualJaegerPorts } from './jaeger.ts';
import { requireJava } from './java.ts';
import { ensureKafkaJars, kafkaJars, sharedCache } from './kafka-jars.ts';
import { kafkaServers } from './kafka.ts';
import { postgresServer } from './postgres.ts';
import { isRunning, stopProcess, type ProcessIdentity } from './processes.ts';
import { startServer, type Progress, type Server } from './server.ts';
import { sqsServer } from './sqs.ts';
import {
  ensurePasswords,
  makePrivate,
  readSaved,
  readState,
  saveState,
  stackPaths,
  type Brokers,
  type StackPorts,
  type StackState,
} from './stack-state.ts';
import { choosePort } from './tcp-ports.ts';

export interface ServersOptions {
  readonly directory: string;
  /** Left out: as the directory has it, 1 in a new one. */
  readonly brokers?: Brokers;
  /** Whether to ask for the ports that everybody expects (5432, 9092, 4566) before any free ones. */
  readonly usualPorts: boolean;
  /** False where nothing has to outlive the run. */
  readonly durable: boolean;
  /** Jaeger's program, to have one beside the others. */
  readonly jaeger?: string | undefined;
  /** Of Postgres, `name=value`, beside ours. */
  readonly postgresSettings?: readonly string[];
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  /** What else has to succeed before the servers count as started. */
  readonly prepare?: (state: StackState) => Promise<void>;
}

/**
 * Starts those of the servers in `directory` that do not run, and waits until all are ready. **The caller holds the
 * directory's lock.** When one fails, those that this call started are stopped again.
 *
 * @throws PipelineError STACK
 */
export async function startServers(options: ServersOptions): Promise<StackState> {
  const paths = stackPaths(options.directory);
  mkdirSync(paths.root, { recursive: true, mode: 0o700 });
  const known = readState(options.directory);
  if (known !== undefined && options.brokers !== undefined && options.brokers !== known.brokers) {
    throw new PipelineError(
      'STACK',
      `this stack has data of ${known.brokers} broker(s), not ${options.brokers}: run "sluice stack reset" first`,
    );
  }
  await requireJava();
  await ensureKafkaJars(sharedCache, options.progress);
  for (const directory of [paths.logs, paths.kafka, paths.sqs]) makePrivate(directory);
  const state = await newState(options, known);
  saveState(state.directory, state);
  const servers = serversOf(state, options.durable, options);
  await startMissing(servers, state, options);
  return state;
}

/** The servers of a stack, in the order in which they are listed. */
export function serversOf(
  state: StackState,
  durable: boolean,
  { jaeger, postgresSettings: settings = [] }: Pick<ServersOptions, 'jaeger' | 'postgresSettings'> = {},
): Server[] {
  const paths = stackPaths(state.directory);
  const { ports, passwords } = state;
  return [
    postgresServer({ paths, port: ports.postgres, password: passwords.postgres, durable, settings }),
    ...kafkaServers({ paths, ports, jars: kafkaJars(sharedCache) }),
    sqsServer({ paths, port: ports.sqs, durable }),
    ...(ports.jaeger === undefined ? [] : [jaegerServer({ paths, ports: ports.jaeger, program: jaeger })]),
  ];
}

/** Stops what runs: producers of work first, the store last. **The caller holds the directory's lock.** */
export async function stopServers(directory: string, progress: Progress): Promise<void> {
  const saved = readSaved(directory);
  if (saved === undefined) return;
  const running = await runningOf(saved);
  // Kafka's nodes together: the last of three could not hand its partitions over without a quorum.
  for (const group of ['sqs', 'kafka', 'postgres', 'jaeger']) {
    const members = running.filter(([name]) => name.split('-')[0] === group);
    await Promise.all(members.map(([name, identity]) => stopServer(name, identity)));
    for (const [name] of members) progress(`${name} stopped`);
  }
  saveState(directory, { ...saved, processes: {} });
}

async function runningOf(state: Pick<StackState, 'processes'>): Promise<[string, ProcessIdentity][]> {
  const entries = Object.entries(state.processes);
  const alive = await Promise.all(entries.map(([, identity]) => isRunning(identity)));
  return entries.filter((_, i) => alive[i]);
}

/** Postgres: SIGINT is its fast shutdown, which ends sessions (SIGTERM would wait for them). */
async function stopServer(name: string, identity: ProcessIdentity): Promise<void> {
  const signal = name === 'postgres' ? 'SIGINT' : 'SIGTERM';
  await stopProcess(identity, { signal, graceMs: 20_000 });
}

async function startMissing(servers: Server[], state: StackState, options: ServersOptions): Promise<void> {
  const running = new Map(await runningOf(state));
  const missing = servers.filter((server) => !running.has(server.name));
  for (const name of running.keys()) options.progress(`${name} runs already`);
  const launched: [string, ProcessIdentity][] = [];
  const abort = new AbortController();
  const signal = AbortSignal.any([abort.signal, ...(options.signal ? [options.signal] : [])]);
  let first: unknown;
  const start = async (server: Server) => {
    try {
      await startServer(server, {
        progress: options.progress,
        signal,
        launched: (identity) => {
          launched.push([server.name, identity]);
          state.processes[server.name] = identity;
          saveState(state.directory, state);
        },
      });
    } catch (error) {
      // Those that give up because of it fail after it.
      if (!abort.signal.aborted) first = error;
      abort.abort();
    }
  };
  try {
    await Promise.all(missing.map(start));
    if (abort.signal.aborted) throw first;
    if (options.signal?.aborted) throw new PipelineError('STACK', 'interrupted');
    await options.prepare?.(state);
  } catch (error) {
    await Promise.all(launched.map(([name, identity]) => stopServer(name, identity)));
    for (const [name] of launched) delete state.processes[name];
    saveState(state.directory, state);
    throw error;
  }
}

async function newState(options: ServersOptions, known: StackState | undefined): Promise<StackState> {
  const brokers = known?.brokers ?? options.brokers ?? 1;
  return {
    version: 1,
    brokers,
    ports: await choosePorts(options, brokers, known),
    processes: known === undefined ? {} : Object.fromEntries(await runningOf(known)),
    directory: stackPaths(options.directory).root,
    passwords: ensurePasswords(options.directory),
  };
}

/** Servers that run keep their ports; the others get the last ones if free. */
async function choosePorts(
  options: ServersOptions,
  brokers: Brokers,
  known: StackState | undefined,
): Promise<StackPorts> {
  const running = new Map(known === undefined ? [] : await runningOf(known));
  const taken = new Set<number>();
  const choose = async (server: string, last: number | undefined, usual: number): Promise<number> => {
    const wanted = [...(last === undefined ? [] : [last]), ...(options.usualPorts ? [usual] : [])];
    const port = last !== undefined && running.has(server) ? last : await choosePort(wanted, taken);
    taken.add(port);
    return port;
  };
  const ports: StackPorts = {
    postgres: await choose('postgres', known?.ports.postgres, 5432),
    sqs: await choose('sqs', known?.ports.sqs, 4566),
    kafka: [],
    controllers: [],
  };
  for (let i = 0; i < brokers; i++) {
    const name = `kafka-${i + 1}`;
    ports.kafka.push(await choose(name, known?.ports.kafka[i], 9092 + 2 * i));
    ports.controllers.push(await choose(name, known?.ports.controllers[i], 9093 + 2 * i));
  }
  // Not asked for, it is started no more; one that runs is kept.
  if (options.jaeger !== undefined || running.has('jaeger')) {
    const last = known?.ports.jaeger;
    ports.jaeger = {
      query: await choose('jaeger', last?.query, usualJaegerPorts.query),
      grpc: await choose('jaeger', last?.grpc, usualJaegerPorts.grpc),
      http: await choose('jaeger', last?.http, usualJaegerPorts.http),
    };
  }
  return ports;
}
