import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { loopback } from '../../services/local-stack/tcp-ports.ts';

export type Json = Readonly<Record<string, unknown>>;

export interface SqsAnswer {
  readonly status: number;
  readonly body: Json;
}

/** One call of the JSON protocol (`X-Amz-Target: AmazonSQS.ReceiveMessage`), before SQS has seen it. */
export interface SqsCall {
  readonly action: string;
  readonly request: Json;
  /** Asks SQS: as it was sent, or otherwise. */
  forward(request?: Json): Promise<SqsAnswer>;
}

/** An error as SQS words it; the SDK knows it by its type. */
export function sqsError(status: number, type: string): SqsAnswer {
  return { status, body: { __type: `com.amazonaws.sqs#${type}`, message: 'injected' } };
}

/**
 * An HTTP proxy in front of SQS that answers calls in its place, or alters what it says. Without an {@link FaultySqs.intercept} it passes
 * everything. A client that hangs up ends the call to SQS too: a long poll that nobody hears must receive nothing.
 */
export class FaultySqs implements AsyncDisposable {
  intercept: ((call: SqsCall) => Promise<SqsAnswer>) | undefined;
  readonly #server: Server;
  readonly #targetPort: number;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((incoming, outgoing) => {
      this.#serve(incoming, outgoing).catch(() => outgoing.destroy());
    });
  }

  static async open(targetPort: number): Promise<FaultySqs> {
    const proxy = new FaultySqs(targetPort);
    proxy.#server.listen(0, loopback);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the proxy does not listen');
    return address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const hangUp = new AbortController();
    outgoing.once('close', () => hangUp.abort());
    const asked: Json = JSON.parse(await text(incoming));
    const forward = (altered = asked) => this.#forward(incoming, altered, hangUp.signal);
    const action = String(incoming.headers['x-amz-target']).split('.')[1] ?? '';
    const answer = await (this.intercept === undefined
      ? forward()
      : this.intercept({ action, request: asked, forward }));
    const body = Buffer.from(JSON.stringify(answer.body));
    outgoing.writeHead(answer.status, {
      'content-type': 'application/x-amz-json-1.0',
      'content-length': body.length,
    });
    outgoing.end(body);
  }

  async #forward(incoming: IncomingMessage, asked: Json, signal: AbortSignal): Promise<SqsAnswer> {
    const body = JSON.stringify(asked);
    const { 'content-length': _length, connection: _connection, ...headers } = incoming.headers;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = request({
      host: loopback,
      port: this.#targetPort,
      method: incoming.method,
      path: incoming.url,
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      signal,
    });
    outgoing.once('response', resolve).once('error', reject).end(body);
    const answer = await promise;
    const answered = await text(answer);
    return { status: answer.statusCode ?? 500, body: answered === '' ? {} : JSON.parse(answered) };
  }
}

/** The list under `name` in a request or an answer; empty when it is not there. */
export function listIn(body: Json, name: string): readonly Json[] {
  const list = body[name];
  return Array.isArray(list) ? list : [];
}
