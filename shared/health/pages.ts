import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { PipelineError } from '../errors.ts';

/** A probe or a scrape takes milliseconds: who takes longer to ask is neither. */
const requestTimeoutMs = 5_000;
const maxConnections = 32;

export interface PageServer extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves pages that are read and nothing else, by path. Port 0 is any that is free.
 * @param at.setting whose variables are named when it cannot be: `HEALTH` …
 * @throws PipelineError CONFIG_INVALID when the port is taken or may not be used
 */
export async function servePages(
  pages: ReadonlyMap<string, RequestListener>,
  at: {
    readonly host: string;
    readonly port: number;
    readonly setting: 'HEALTH' | 'METRICS' | 'CONSOLE';
    /** Answers whoever may not ask, and says that it has. */
    readonly refuse?: (request: IncomingMessage, response: ServerResponse) => boolean;
  },
): Promise<PageServer> {
  const server = createServer((request, response) => {
    if (at.refuse?.(request, response) === true) return undefined;
    const [path = ''] = (request.url ?? '').split('?', 1);
    const readable = request.method === 'GET' || request.method === 'HEAD';
    const page = readable ? pages.get(path) : undefined;
    if (page !== undefined) return page(request, response);
    const body = { status: 'no such page', pages: [...pages.keys()] };
    return response
      .writeHead(readable ? 404 : 405, { 'content-type': 'application/json', 'cache-control': 'no-store' })
      .end(`${JSON.stringify(body)}\n`);
  });
  server.requestTimeout = requestTimeoutMs;
  server.headersTimeout = requestTimeoutMs;
  server.maxConnections = maxConnections;
  await listen(server, at);
  return {
    port: portOf(server),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, at: { host: string; port: number; setting: string }): Promise<void> {
  const { host, port, setting } = at;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      const why = taken
        ? `${setting}_PORT ${port} is taken on this machine, by another instance perhaps: give each its own, or 0`
        : `${setting}_HOST and ${setting}_PORT cannot be listened on (${error.code ?? 'unknown'})`;
      reject(new PipelineError('CONFIG_INVALID', why));
    });
    server.listen({ host, port, exclusive: true }, resolve);
  });
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
