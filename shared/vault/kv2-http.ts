import { Agent, request, type Dispatcher } from 'undici';
import { wipe } from '../crypto/sealed-box.ts';
import { PipelineError } from '../errors.ts';
import { systemCode } from './durable-file.ts';

/** Slow is down: what waits for a key would rather be told. */
const defaultTimeoutMs = 10_000;
/** A list of a hundred thousand names. */
const maxAnswerBytes = 8_388_608;
/** From a standby to the active node, and once more while they change places. */
const maxRedirects = 2;

export interface Kv2Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below /v1/, with its query. */
  readonly path: string;
  readonly token?: string;
  /** JSON. The caller wipes it. */
  readonly body?: Buffer;
}

export interface Kv2Answer {
  readonly status: number;
  /** A buffer of its own, which the caller may wipe. */
  readonly body: Buffer;
}

/**
 * Sends one request to the vault and resolves with what it answers, be it a refusal.
 *
 * @throws PipelineError VAULT_UNAVAILABLE when it does not answer within the timeout, is sealed, a standby that knows no active
 * node, or overloaded; VAULT_NOT_FOUND when it sends us where a token must not go
 */
export type Kv2Http = (request: Kv2Request) => Promise<Kv2Answer>;

export interface Kv2HttpOptions {
  /** `https://vault.example:8200` */
  readonly origin: string;
  readonly namespace?: string | undefined;
  /** PEM. */
  readonly ca?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Connections are kept while they are in use often, and hold no process that has nothing else to do. */
export function kv2Http(options: Kv2HttpOptions): Kv2Http {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const connect = { timeout: timeoutMs, ...(options.ca === undefined ? {} : { ca: options.ca }) };
  const dispatcher = new Agent({ connect, connections: 8, allowH2: false });
  const headers = {
    'x-vault-request': 'true',
    ...(options.namespace === undefined ? {} : { 'x-vault-namespace': options.namespace }),
  };
  return async (sent) => {
    // One deadline for all redirects and the body.
    const signal = AbortSignal.timeout(timeoutMs);
    const call = async (url: URL) =>
      request(url, {
        dispatcher,
        signal,
        method: sent.method,
        headers: {
          ...headers,
          ...(sent.token === undefined ? {} : { 'x-vault-token': sent.token }),
          ...(sent.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(sent.body === undefined ? {} : { body: sent.body }),
      });
    let url = new URL(`/v1/${sent.path}`, options.origin);
    for (let redirects = 0; ; redirects++) {
      const { statusCode, headers: received, body } = await answering(() => once(() => call(url)));
      const answer = { status: statusCode, body: await answering(() => readAll(body)) };
      if (statusCode !== 307 && statusCode !== 308) return answered(answer);
      if (redirects === maxRedirects)
        throw new PipelineError('VAULT_UNAVAILABLE', 'it redirects in a circle');
      url = redirected(url, received['location']);
    }
  };
}

/** A connection that the other end closed while it lay idle tells nothing about the vault: try again, on a new one. */
async function once<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    // Every request of ours may arrive twice.
    if (['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(systemCode(error) ?? '')) return call();
    throw error;
  }
}

/** The same request at another host, as a standby sends it to the active node. **A token goes to no other scheme and no other path.** */
function redirected(from: URL, location: string | string[] | undefined): URL {
  const to =
    typeof location === 'string' && URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (
    to === undefined ||
    to.protocol !== from.protocol ||
    to.pathname !== from.pathname ||
    to.search !== from.search ||
    to.username !== '' ||
    to.password !== ''
  ) {
    throw new PipelineError(
      'VAULT_NOT_FOUND',
      'it redirects to another scheme or path, which is not followed',
    );
  }
  return to;
}

function answered(answer: Kv2Answer): Kv2Answer {
  const { status } = answer;
  // 412: this node has not caught up. 472, 473: standby of a replica. 429: a standby's health, or a quota.
  if (status < 500 && ![408, 412, 425, 429, 472, 473].includes(status)) return answer;
  throw new PipelineError(
    'VAULT_UNAVAILABLE',
    status === 503 ? 'sealed, or not ready (503)' : `HTTP ${status}`,
  );
}

async function readAll(body: Dispatcher.ResponseData['body']): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      if (!Buffer.isBuffer(chunk)) throw new PipelineError('INTERNAL', 'a body that is not bytes');
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxAnswerBytes)
        throw new PipelineError('VAULT_UNAVAILABLE', 'an answer of more than 8 MiB');
    }
    const whole = Buffer.alloc(bytes);
    let at = 0;
    for (const chunk of chunks) at += chunk.copy(whole, at);
    return whole;
  } finally {
    for (const chunk of chunks) if (chunk.length > 0) wipe(chunk);
  }
}

/** Whatever keeps an answer from arriving is an outage, told by its code alone. */
async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    if (error instanceof Error && error.name === 'TimeoutError') {
      throw new PipelineError('VAULT_UNAVAILABLE', 'no answer in time');
    }
    const code = systemCode(error);
    const certificate = code !== undefined && /CERT|ISSUER|SIGNATURE|ALTNAME/.test(code);
    throw new PipelineError('VAULT_UNAVAILABLE', certificate ? `${code}: see VAULT_CACERT` : code);
  }
}
