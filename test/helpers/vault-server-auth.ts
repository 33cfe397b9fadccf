import { randomUUID } from 'node:crypto';
import { denied, duration, Refusal, type Reply, type VaultCall } from './vault-server-http.ts';

export interface Token {
  readonly id: string;
  readonly policies: readonly string[];
  readonly namespace: string;
  readonly renewable: boolean;
  readonly ttlMs: number;
  /** Undefined: never. */
  expiresAt: number | undefined;
  readonly maxExpiresAt: number;
  /** Undefined: any number of times. */
  usesLeft: number | undefined;
}

interface TokenParameters {
  readonly policies: readonly string[];
  readonly namespace: string;
  readonly ttl?: unknown;
  readonly maxTtl?: unknown;
  readonly uses?: unknown;
  readonly renewable?: unknown;
  readonly noDefault?: unknown;
}

/** Tokens: they expire, run out of uses, are renewed up to their maximum, and revoked. */
export class Tokens {
  readonly #tokens = new Map<string, Token>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  issue(parameters: TokenParameters): Token {
    const ttlMs = duration(parameters.ttl ?? '768h');
    const maxMs =
      parameters.maxTtl === undefined || parameters.maxTtl === 0 ? Infinity : duration(parameters.maxTtl);
    const now = this.#clock();
    const token: Token = {
      id: `s.${randomUUID()}`,
      policies: [...parameters.policies, ...(parameters.noDefault === true ? [] : ['default'])],
      namespace: parameters.namespace,
      renewable: parameters.renewable !== false,
      ttlMs,
      expiresAt: now + Math.min(ttlMs, maxMs),
      maxExpiresAt: now + maxMs,
      usesLeft: typeof parameters.uses === 'number' && parameters.uses > 0 ? parameters.uses : undefined,
    };
    this.#tokens.set(token.id, token);
    return token;
  }

  addRoot(id: string): void {
    const token = { id, policies: ['root'], namespace: '', renewable: false, ttlMs: 0 };
    this.#tokens.set(id, { ...token, expiresAt: undefined, maxExpiresAt: Infinity, usesLeft: undefined });
  }

  /** The token of a request, which has one use less afterwards. */
  use(id: string | undefined, namespace: string): Token {
    const token = id === undefined ? undefined : this.#tokens.get(id);
    if (token === undefined || (token.expiresAt !== undefined && token.expiresAt <= this.#clock())) {
      throw denied('token');
    }
    // A token works in its namespace and in those below.
    if (token.namespace !== '' && token.namespace !== namespace) throw denied('token');
    if (token.usesLeft !== undefined) {
      token.usesLeft -= 1;
      if (token.usesLeft === 0) this.#tokens.delete(token.id);
    }
    return token;
  }

  revoke(id: string): void {
    this.#tokens.delete(id);
  }

  /** All but root. */
  revokeAll(): void {
    for (const [id, { policies }] of this.#tokens) if (!policies.includes('root')) this.#tokens.delete(id);
  }

  lookUp(token: Token): Reply {
    const ttl = this.#secondsLeft(token);
    return { status: 200, data: { id: token.id, policies: token.policies, renewable: token.renewable, ttl } };
  }

  renew(token: Token): Reply {
    if (!token.renewable) throw new Refusal(400, 'lease is not renewable');
    token.expiresAt = Math.min(this.#clock() + token.ttlMs, token.maxExpiresAt);
    return { status: 200, auth: this.describe(token) };
  }

  describe(token: Token) {
    return {
      client_token: token.id,
      policies: token.policies,
      lease_duration: this.#secondsLeft(token),
      renewable: token.renewable,
      token_type: 'service',
    };
  }

  #secondsLeft({ expiresAt }: Token): number {
    return expiresAt === undefined ? 0 : Math.max(0, Math.floor((expiresAt - this.#clock()) / 1_000));
  }
}

/** An auth method: a login for everybody, its administration for those with the right. */
export interface AuthMethod {
  readonly type: string;
  logIn(body: Readonly<Record<string, unknown>>): Promise<Reply>;
  handle(call: VaultCall, path: string): Reply;
}

type Settings = Readonly<Record<string, unknown>>;

export class AppRole implements AuthMethod {
  readonly type = 'approle';
  readonly #roles = new Map<string, { readonly id: string; readonly settings: Settings }>();
  readonly #secretIds = new Map<
    string,
    { readonly role: string; usesLeft: number; readonly expiresAt: number }
  >();
  readonly #issue: (settings: Settings) => Reply;
  readonly #clock: () => number;

  constructor(issue: (settings: Settings) => Reply, clock: () => number) {
    this.#issue = issue;
    this.#clock = clock;
  }

  async logIn(body: Readonly<Record<string, unknown>>): Promise<Reply> {
    const [name, role] = [...this.#roles].find(([, { id }]) => id === body['role_id']) ?? [];
    const secretId = this.#secretIds.get(String(body['secret_id']));
    if (
      role === undefined ||
      secretId === undefined ||
      secretId.role !== name ||
      secretId.expiresAt <= this.#clock()
    ) {
      throw new Refusal(400, 'invalid role or secret ID');
    }
    secretId.usesLeft -= 1;
    if (secretId.usesLeft === 0) this.#secretIds.delete(String(body['secret_id']));
    return this.#issue(role.settings);
  }

  handle(call: VaultCall, path: string): Reply {
    const [, name = '', rest] = /^role\/([^/]+)(?:\/(.+))?$/.exec(path) ?? [];
    const writes = call.operation === 'create' || call.operation === 'update';
    const role = this.#roles.get(name);
    if (rest === undefined && writes && name !== '') {
      this.#roles.set(name, { id: role?.id ?? randomUUID(), settings: call.body });
      return { status: 204 };
    }
    if (role === undefined) throw new Refusal(404);
    if (rest === 'role-id' && call.operation === 'read') return { status: 200, data: { role_id: role.id } };
    if (rest === 'secret-id' && writes) {
      const { secret_id_num_uses: uses, secret_id_ttl: ttl } = role.settings;
      const id = randomUUID();
      this.#secretIds.set(id, {
        role: name,
        usesLeft: typeof uses === 'number' && uses > 0 ? uses : Infinity,
        expiresAt: ttl === undefined ? Infinity : this.#clock() + duration(ttl),
      });
      return { status: 200, data: { secret_id: id } };
    }
    throw new Refusal(405, '1 error occurred:\n\t* unsupported operation\n\n');
  }
}

export class Kubernetes implements AuthMethod {
  readonly type = 'kubernetes';
  #host = '';
  readonly #roles = new Map<string, Settings>();
  readonly #issue: (settings: Settings) => Reply;

  constructor(issue: (settings: Settings) => Reply) {
    this.#issue = issue;
  }

  /** Asks the cluster whose token it is, by a TokenReview, as Vault does. */
  async logIn(body: Readonly<Record<string, unknown>>): Promise<Reply> {
    const settings = this.#roles.get(String(body['role']));
    if (settings === undefined) throw new Refusal(400, 'invalid role name');
    const review = await fetch(`${this.#host}/apis/authentication.k8s.io/v1/tokenreviews`, {
      method: 'POST',
      body: JSON.stringify({ spec: { token: body['jwt'] } }),
    });
    const { status }: { status: { authenticated?: boolean; user?: { username: string } } } = JSON.parse(
      await review.text(),
    );
    if (status.authenticated !== true) throw new Refusal(403, 'permission denied');
    const [, , namespace, name] = (status.user?.username ?? '').split(':');
    const allowed = (key: string, value: string | undefined) => [settings[key]].flat().includes(value);
    if (
      !allowed('bound_service_account_names', name) ||
      !allowed('bound_service_account_namespaces', namespace)
    ) {
      throw new Refusal(403, 'service account name not authorized');
    }
    return this.#issue(settings);
  }

  handle(call: VaultCall, path: string): Reply {
    if (call.operation !== 'create' && call.operation !== 'update') throw new Refusal(405);
    if (path === 'config') this.#host = String(call.body['kubernetes_host']);
    else this.#roles.set(path.replace(/^role\//, ''), call.body);
    return { status: 204 };
  }
}
