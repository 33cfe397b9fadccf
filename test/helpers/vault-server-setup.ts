import { readdirSync, readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { startVaultServer } from './vault-server.ts';

const { VAULT_TEST_ADDR: realAddress, VAULT_TEST_TOKEN: realToken } = process.env;

const policyDirectory = fileURLToPath(new URL('../../deploy/vault', import.meta.url));

/** The roles that deploy/vault has a policy for. */
export const vaultRoles = readdirSync(policyDirectory)
  .filter((file) => file.endsWith('.hcl'))
  .map((file) => file.slice(0, -'.hcl'.length))
  .sort();

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface VaultAdmin {
  /** Sends a request with the administrator's token; the parsed answer. Throws for a status of 400 and above, but 404. */
  call(method: Method, path: string, body?: object): Promise<Record<string, unknown>>;
  /** Makes a KV version 2 mount. */
  mount(mount: string, version?: 1 | 2): Promise<void>;
  /** Puts deploy/vault's policies there, for a mount of that name: `<mount>-<role>`. */
  policies(mount: string): Promise<void>;
  /** A token with that role's policy alone. */
  tokenFor(mount: string, role: string, more?: object): Promise<string>;
}

/** What an administrator does to a Vault over HTTP, be it ours or a real one. */
export function vaultAdmin(options: {
  address: string;
  token: string;
  namespace?: string;
  ca?: string;
}): VaultAdmin {
  const { ca, namespace } = options;
  const dispatcher = ca === undefined ? undefined : new Agent({ connect: { ca } });
  const call: VaultAdmin['call'] = async (method, path, body) => {
    const { statusCode, body: answer } = await request(`${options.address}/v1/${path}`, {
      method,
      ...(dispatcher === undefined ? {} : { dispatcher }),
      headers: {
        'x-vault-token': options.token,
        ...(namespace === undefined ? {} : { 'x-vault-namespace': namespace }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (statusCode >= 400 && statusCode !== 404) throw new Error(`${method} ${path}: ${statusCode} ${text}`);
    return text === '' ? {} : JSON.parse(text);
  };
  return {
    call,
    async mount(mount, version = 2) {
      await call('POST', `sys/mounts/${mount}`, { type: 'kv', options: { version: String(version) } });
      // A new mount of a real server refuses everything for a moment, as "upgrading".
      for (let tries = 0; version === 2 && tries < 100; tries++) {
        const ready = await call('GET', `${mount}/config`).then(
          () => true,
          () => false,
        );
        if (ready) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async policies(mount) {
      for (const role of vaultRoles) {
        const policy = readFileSync(`${policyDirectory}/${role}.hcl`, 'utf8').replaceAll(
          '"sluice/',
          `"${mount}/`,
        );
        await call('PUT', `sys/policies/acl/${mount}-${role}`, { policy });
      }
    },
    async tokenFor(mount, role, more = {}) {
      const answer = await call('POST', 'auth/token/create', {
        policies: [`${mount}-${role}`],
        ttl: '1h',
        ...more,
      });
      return clientToken(answer);
    },
  };
}

/** `auth.client_token` of an answer. */
export function clientToken({ auth }: Record<string, unknown>): string {
  if (typeof auth === 'object' && auth !== null && 'client_token' in auth) return String(auth.client_token);
  throw new Error('no token in the answer');
}

/** A server to run a suite against. */
export interface VaultUnderTest extends AsyncDisposable {
  readonly address: string;
  readonly rootToken: string;
  /** Stops it from answering. */
  goAway(): void;
}

/**
 * Our own server, and, where VAULT_TEST_ADDR and VAULT_TEST_TOKEN name one, a real one: a Vault or OpenBao whose token may make mounts, policies and
 * tokens. `vault server -dev` will do.
 */
export const vaultServers: readonly { name: string; open: () => Promise<VaultUnderTest> }[] = [
  {
    name: 'the in-test server',
    async open() {
      const server = await startVaultServer();
      return {
        address: server.address,
        rootToken: server.rootToken,
        goAway: () => {
          server.sealed = true;
        },
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  },
  ...(realAddress === undefined || realToken === undefined
    ? []
    : [{ name: 'the server at VAULT_TEST_ADDR', open: () => throughProxy(realAddress, realToken) }]),
];

/** A real server cannot be made to fail: what lies before it can. */
async function throughProxy(address: string, rootToken: string): Promise<VaultUnderTest> {
  const { hostname, port } = new URL(address);
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve);
  });
  const bound = proxy.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  const goAway = () => {
    proxy.close();
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `http://127.0.0.1:${bound.port}`,
    rootToken,
    goAway,
    [Symbol.asyncDispose]: async () => goAway(),
  };
}
