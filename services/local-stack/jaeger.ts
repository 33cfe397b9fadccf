import { constants } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { PipelineError } from '../../shared/errors.ts';
import type { Server } from './server.ts';
import type { StackPaths, StackPorts } from './stack-state.ts';
import { loopback } from './tcp-ports.ts';

type JaegerPorts = NonNullable<StackPorts['jaeger']>;

/** What its users and exporters expect: the page, OTLP by gRPC and by HTTP. */
export const usualJaegerPorts: JaegerPorts = { query: 16_686, grpc: 4_317, http: 4_318 };

/** Traces kept in memory, the oldest forgotten first. */
const maxTraces = 100_000;

/** How to get one, for whoever asked for one that is not here. */
export const noJaeger =
  'no Jaeger here: put its program "jaeger" (version 2, from jaegertracing.io/download) on the PATH, or name it in JAEGER_BINARY';

/**
 * Jaeger's program: the one that JAEGER_BINARY names, else `jaeger` on the PATH; undefined when there is none.
 * @throws PipelineError STACK when JAEGER_BINARY names what cannot be run
 */
export async function findJaeger(env: {
  readonly JAEGER_BINARY?: string | undefined;
  readonly PATH?: string | undefined;
}): Promise<string | undefined> {
  const { JAEGER_BINARY: named = '', PATH = '' } = env;
  if (named !== '') {
    if (await isProgram(named)) return named;
    throw new PipelineError('STACK', 'JAEGER_BINARY names no program that can be run');
  }
  for (const directory of PATH.split(delimiter)) {
    const candidate = join(directory, 'jaeger');
    if (directory !== '' && (await isProgram(candidate))) return candidate;
  }
  return undefined;
}

/** Jaeger 2, all in one process, with its traces in memory. On the loopback, and with no other port than those. */
export function jaegerServer(options: {
  readonly paths: StackPaths;
  readonly ports: JaegerPorts;
  /** Needed to start it, not to look at it. */
  readonly program: string | undefined;
}): Server {
  const { paths, ports, program } = options;
  return {
    name: 'jaeger',
    port: ports.query,
    logFile: join(paths.logs, 'jaeger.log'),
    async prepare() {
      if (program === undefined) throw new PipelineError('STACK', noJaeger);
      await writeFile(paths.jaegerConfig, `${JSON.stringify(configOf(ports), undefined, 2)}\n`);
      return { command: program, args: [`--config=file:${paths.jaegerConfig}`], cwd: paths.root };
    },
    ready: () => answers(ports.query),
  };
}

export function jaegerUrl({ query }: JaegerPorts): string {
  return `http://${loopback}:${query}`;
}

/** Its settings, as its manual has them (jaegertracing.io/docs/latest/deployment/configuration). */
function configOf({ query, grpc, http }: JaegerPorts) {
  const at = (port: number) => ({ endpoint: `${loopback}:${port}` });
  return {
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: {
        traces: { receivers: ['otlp'], processors: [], exporters: ['jaeger_storage_exporter'] },
      },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
    },
    extensions: {
      jaeger_storage: { backends: { memory: { memory: { max_traces: maxTraces } } } },
      // Its gRPC port is of no use here; 0 is any.
      jaeger_query: { storage: { traces: 'memory' }, http: at(query), grpc: at(0) },
    },
    receivers: { otlp: { protocols: { grpc: at(grpc), http: at(http) } } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
  };
}

async function isProgram(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function answers(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://${loopback}:${port}/api/services`, {
      signal: AbortSignal.timeout(5_000),
    });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
