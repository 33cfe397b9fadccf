import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';

/** What a gate does with a request instead of passing it on; it must end or destroy the answer. */
export type Instead = (request: IncomingMessage, answer: ServerResponse, body: Buffer) => void;

export interface HttpGate extends AsyncDisposable {
  readonly endpoint: string;
  /** Closes the port and cuts every connection. */
  close(): Promise<void>;
}

/**
 * A server in front of another that sees every request before it is passed on, and may answer it itself: `rule` gives undefined
 * to let it through. Bodies are held in memory.
 */
export async function openGate(
  target: string,
  rule: (request: IncomingMessage, body: Buffer) => Instead | undefined = () => undefined,
): Promise<HttpGate> {
  const server = createServer((incoming, answer) => {
    void serve(incoming, answer).catch(() => answer.destroy());
  });
  async function serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const instead = rule(incoming, body);
    if (instead !== undefined) return instead(incoming, answer, body);
    const onward = request(new URL(incoming.url ?? '/', target), {
      method: incoming.method,
      headers: incoming.headers,
    });
    onward.end(body);
    const [passed]: IncomingMessage[] = await once(onward, 'response');
    if (passed === undefined) throw new Error('no response');
    answer.writeHead(passed.statusCode ?? 500, passed.headers);
    await pipeline(passed, answer);
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  async function close(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }
  return { endpoint: `http://127.0.0.1:${address.port}`, close, [Symbol.asyncDispose]: close };
}
