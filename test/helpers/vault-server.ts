import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { AppRole, Kubernetes, Tokens, type AuthMethod, type Token } from './vault-server-auth.ts';
import { denied, Refusal, type Reply, type VaultCall } from './vault-server-http.ts';
import { Kv1Engine, Kv2Engine } from './vault-server-kv2.ts';
import { allows, parsePolicy, type Policy } from './vault-server-policy.ts';

/** What a token may do besides its own policies; the part of Vault's default policy that clients use. */
const defaultPolicy = parsePolicy(`
  path "auth/token/lookup-self" { capabilities = ["read"] }
  path "auth/token/renew-self" { capabilities = ["update"] }
`);

type Done = (status: number, text: string, headers?: Record<string, string>) => void;

class Namespace {
  readonly mounts = new Map<string, Kv1Engine | Kv2Engine>();
  readonly auth = new Map<string, AuthMethod>();
  readonly policies = new Map<string, Policy>([['default', defaultPolicy]]);
}

/** Something that keeps it from answering as usual. */
interface Trouble {
  readonly kind: 'slow' | 'standby' | 'status' | 'cut' | 'garbage';
  readonly status?: number;
  readonly location?: string;
}

export interface VaultRequest {
  readonly method: string;
  readonly path: string;
  readonly token: string | undefined;
  readonly status: number;
}

/**
 * Vault's HTTP API on loopback, as its documentation describes it and OpenBao 2.7 answers: KV 1 and 2, policies, tokens, AppRole, Kubernetes,
 * namespaces, seal, standby. It refuses what Vault refuses. What is here beyond HTTP is what breaks it.
 */
export interface VaultServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly address: string;
  readonly rootToken: string;
  readonly requests: VaultRequest[];
  readonly tokens: Tokens;
  trouble: Trouble | undefined;
  sealed: boolean;
  /** Called with every request before it is carried out. */
  before: ((method: string, path: string) => void) | undefined;
  /** Closes every connection. */
  disconnect(): void;
  /** Its clock goes this much further, in ms. */
  advance(ms: number): void;
  /** Every value that could still be brought back from a mount. */
  remains(mount: string): unknown[];
}

export async function startVaultServer(
  options: { tls?: { cert: string; key: string } } = {},
): Promise<VaultServer> {
  let ahead = 0;
  const clock = () => Date.now() + ahead;
  const tokens = new Tokens(clock);
  const rootToken = 'root-of-the-test-server';
  tokens.addRoot(rootToken);
  const namespaces = new Map([['', new Namespace()]]);
  const requests: VaultRequest[] = [];

  async function answer(request: IncomingMessage, url: URL): Promise<Reply> {
    const method = request.method ?? '';
    const path = decodeURIComponent(url.pathname.replace(/^\/v1\//, ''));
    const body = await readBody(request);
    if (server.sealed) throw new Refusal(503, 'Vault is sealed');
    const name = headerOf(request, 'x-vault-namespace')?.replace(/\/$/, '') ?? '';
    const namespace = namespaces.get(name);
    if (namespace === undefined) throw new Refusal(404, 'namespace not found');

    const [, login] = /^auth\/(.+)\/login$/.exec(path) ?? [];
    const authMethod = login === undefined ? undefined : namespace.auth.get(login);
    if (authMethod !== undefined) {
      if (method !== 'POST' && method !== 'PUT') throw new Refusal(405);
      return authMethod.logIn(body);
    }

    const token = tokens.use(headerOf(request, 'x-vault-token'), name);
    const [mount, engine] = longest(namespace.mounts, path) ?? [];
    const below = mount === undefined ? '' : path.slice(mount.length + 1);
    const operation = operationOf(method, url, () => engine?.exists(below) ?? true);
    const asked = operation === 'list' && !path.endsWith('/') ? `${path}/` : path;
    if (!token.policies.includes('root')) {
      const held = token.policies.flatMap((one) => namespace.policies.get(one) ?? []);
      if (!allows(held, operation, asked)) throw denied('policy');
    }
    server.before?.(method, path);
    const call: VaultCall = { operation, body, query: url.searchParams };
    if (engine !== undefined) return engine.handle(call, below);
    return administer(namespace, name, token, call, path);
  }

  function administer(
    namespace: Namespace,
    name: string,
    token: Token,
    call: VaultCall,
    path: string,
  ): Reply {
    const { body } = call;
    const [, part, rest = ''] =
      /^(sys\/mounts|sys\/auth|sys\/policies\/acl|sys\/namespaces)\/(.+)$/.exec(path) ?? [];
    if (call.operation === 'delete' && part !== undefined) {
      if (part === 'sys/mounts') namespace.mounts.delete(rest);
      if (part === 'sys/auth') namespace.auth.delete(rest);
      if (part === 'sys/policies/acl') namespace.policies.delete(rest);
      return { status: 204 };
    }
    if (part === 'sys/mounts') {
      const version = String(Object(body['options'])['version'] ?? '1');
      namespace.mounts.set(rest, version === '2' ? new Kv2Engine(clock) : new Kv1Engine());
      return { status: 204 };
    }
    if (part === 'sys/policies/acl') {
      namespace.policies.set(rest, parsePolicy(String(body['policy'])));
      return { status: 204 };
    }
    if (part === 'sys/namespaces') {
      namespaces.set(rest, new Namespace());
      return { status: 200, data: { path: `${rest}/` } };
    }
    const issue = (settings: Readonly<Record<string, unknown>>): Reply => {
      const issued = tokens.issue({
        namespace: name,
        policies: [settings['token_policies'] ?? []].flat().map(String),
        ttl: settings['token_ttl'],
        maxTtl: settings['token_max_ttl'],
        uses: settings['token_num_uses'],
        noDefault: settings['token_no_default_policy'],
        renewable: settings['token_type'] !== 'batch',
      });
      return { status: 200, auth: tokens.describe(issued) };
    };
    if (part === 'sys/auth') {
      const method = body['type'] === 'approle' ? new AppRole(issue, clock) : new Kubernetes(issue);
      namespace.auth.set(rest, method);
      return { status: 204 };
    }
    if (path === 'auth/token/lookup-self') return tokens.lookUp(token);
    if (path === 'auth/token/renew-self') return tokens.renew(token);
    if (path === 'auth/token/create') {
      const issued = tokens.issue({
        namespace: name,
        policies: [body['policies'] ?? []].flat().map(String),
        ttl: body['ttl'],
        maxTtl: body['explicit_max_ttl'],
        uses: body['num_uses'],
        noDefault: body['no_default_policy'],
        renewable: body['renewable'],
      });
      return { status: 200, auth: tokens.describe(issued) };
    }
    const [mount, method] = longest(namespace.auth, path.replace(/^auth\//, '')) ?? [];
    if (method !== undefined) return method.handle(call, path.slice(`auth/${mount}/`.length));
    throw new Refusal(404, `no handler for route "${path}". route entry not found.`);
  }

  async function respond(request: IncomingMessage, url: URL, done: Done): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    try {
      const { status, data, auth } = await answer(request, url);
      const envelope = { request_id: 'x', lease_id: '', data: data ?? null, auth: auth ?? null };
      done(status, data === undefined && auth === undefined ? '' : JSON.stringify(envelope), headers);
    } catch (error) {
      const { status, errors } = error instanceof Refusal ? error : new Refusal(500, 'internal error');
      done(status, JSON.stringify({ errors }), headers);
    }
  }

  const listener: RequestListener = (request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    const { trouble } = server;
    const done: Done = (status, text, headers = {}) => {
      const token = headerOf(request, 'x-vault-token');
      requests.push({ method: request.method ?? '', path: `${url.pathname}${url.search}`, token, status });
      response.writeHead(status, headers).end(text);
    };
    if (trouble !== undefined) {
      misbehave(trouble, request, response, done);
      return;
    }
    void respond(request, url, done);
  };
  const http = options.tls === undefined ? createServer(listener) : createTlsServer(options.tls, listener);
  await new Promise<void>((resolve) => {
    http.listen(0, '127.0.0.1', resolve);
  });
  const bound = http.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  const server: VaultServer = {
    address: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${bound.port}`,
    rootToken,
    requests,
    tokens,
    trouble: undefined,
    sealed: false,
    before: undefined,
    disconnect: () => http.closeAllConnections(),
    advance(ms) {
      ahead += ms;
    },
    remains: (mount) => namespaces.get('')?.mounts.get(mount)?.remains() ?? [],
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((resolve) => {
        http.close(resolve);
      });
    },
  };
  return server;
}

function misbehave(trouble: Trouble, request: IncomingMessage, response: ServerResponse, done: Done): void {
  request.resume();
  switch (trouble.kind) {
    case 'slow':
      // Headers, and then nothing.
      response.writeHead(200, { 'content-type': 'application/json' }).write('{');
      return;
    case 'cut':
      request.socket.destroy();
      return;
    case 'garbage':
      done(trouble.status ?? 200, '<html>Sign in</html>', { 'content-type': 'text/html' });
      return;
    case 'standby':
      if (trouble.location === undefined) done(503, '{"errors":["no active Vault instance found"]}');
      else done(307, '', { location: `${trouble.location}${request.url ?? ''}` });
      return;
    case 'status':
      done(trouble.status ?? 500, '{"errors":["internal error"]}');
  }
}

function operationOf(method: string, url: URL, exists: () => boolean): VaultCall['operation'] {
  switch (method) {
    case 'GET':
      return url.searchParams.get('list') === 'true' ? 'list' : 'read';
    case 'POST':
    case 'PUT':
      return exists() ? 'update' : 'create';
    case 'DELETE':
      return 'delete';
    default:
      throw new Refusal(405);
  }
}

function longest<T>(mounts: ReadonlyMap<string, T>, path: string): [string, T] | undefined {
  return [...mounts]
    .filter(([mount]) => path.startsWith(`${mount}/`))
    .toSorted(([a], [b]) => b.length - a.length)[0];
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) text += String(chunk);
  if (text === '') return {};
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body };
  } catch {
    // Refused below.
  }
  throw new Refusal(400, 'failed to decode JSON input');
}
