import { duration, Refusal, type Reply, type VaultCall } from './vault-server-http.ts';

interface Version {
  readonly created: string;
  /** When it is, or will be, deleted. */
  deletion: string;
  destroyed: boolean;
  data: unknown;
}

interface Secret {
  readonly versions: Map<number, Version>;
  current: number;
  oldest: number;
  maxVersions: number;
  casRequired: boolean;
  deleteAfterMs: number;
}

/** The KV version 2 engine: what it keeps, destroys, refuses, and answers. Clock in ms. */
export class Kv2Engine {
  readonly version = 2;
  readonly #secrets = new Map<string, Secret>();
  readonly #clock: () => number;
  readonly #config = { maxVersions: 0, casRequired: false, deleteAfterMs: 0 };

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Whether a write there creates or updates: a key with any metadata exists, deleted or not. Other paths know no creation. */
  exists(path: string): boolean {
    const [, part, key = ''] = /^(data|metadata)\/(.+)$/.exec(path) ?? [];
    return part === undefined || this.#secrets.has(key);
  }

  /** Every value that could still be brought back, whatever hides it. */
  remains(): unknown[] {
    return [...this.#secrets.values()].flatMap(({ versions }) =>
      [...versions.values()].map(({ data }) => data).filter((data) => data !== undefined),
    );
  }

  handle(call: VaultCall, path: string): Reply {
    if (path === 'config') return this.#configure(call);
    const [, part, key = ''] = /^([a-z]+)\/(.*)$/.exec(path) ?? [];
    switch (part) {
      case 'data':
        return this.#data(call, key);
      case 'metadata':
        return call.operation === 'list' ? this.#list(key) : this.#metadata(call, key);
      case 'delete':
      case 'undelete':
      case 'destroy':
        return this.#versions(call, part, key);
      default:
        throw new Refusal(404);
    }
  }

  #data(call: VaultCall, key: string): Reply {
    const secret = this.#secrets.get(key);
    switch (call.operation) {
      case 'read':
        return this.#read(secret, Number(call.query.get('version') ?? 0));
      case 'create':
      case 'update':
        return this.#write(call, key, secret);
      case 'delete': {
        const version = secret?.versions.get(secret.current);
        if (version !== undefined && !version.destroyed) version.deletion = this.#now();
        return { status: 204 };
      }
      default:
        throw unsupported();
    }
  }

  #read(secret: Secret | undefined, asked: number): Reply {
    const number = asked > 0 ? asked : (secret?.current ?? 0);
    const version = secret?.versions.get(number);
    if (version === undefined) throw new Refusal(404);
    const gone = version.destroyed || this.#isDeleted(version);
    return {
      status: gone ? 404 : 200,
      data: { data: gone ? null : version.data, metadata: this.#describe(number, version) },
    };
  }

  #write(call: VaultCall, key: string, found: Secret | undefined): Reply {
    const { data, options } = call.body;
    if (typeof data !== 'object' || data === null) throw new Refusal(400, 'no data provided');
    const secret = found ?? newSecret();
    const cas = typeof options === 'object' && options !== null && 'cas' in options ? options.cas : undefined;
    if (cas !== undefined) {
      if (Number(cas) !== secret.current) {
        throw new Refusal(400, 'check-and-set parameter did not match the current version');
      }
    } else if (secret.casRequired || this.#config.casRequired) {
      throw new Refusal(400, 'check-and-set parameter required for this call');
    }
    const after = secret.deleteAfterMs || this.#config.deleteAfterMs;
    const version: Version = {
      created: this.#now(),
      deletion: after > 0 ? new Date(this.#clock() + after).toISOString() : '',
      destroyed: false,
      data,
    };
    secret.current += 1;
    secret.versions.set(secret.current, version);
    const most = Math.max(secret.maxVersions, this.#config.maxVersions) || 10;
    for (const number of secret.versions.keys()) {
      if (number <= secret.current - most) secret.versions.delete(number);
    }
    secret.oldest = Math.max(secret.oldest, secret.current - most + 1);
    this.#secrets.set(key, secret);
    return { status: 200, data: this.#describe(secret.current, version) };
  }

  #metadata(call: VaultCall, key: string): Reply {
    const secret = this.#secrets.get(key);
    switch (call.operation) {
      case 'read': {
        if (secret === undefined) throw new Refusal(404);
        const versions = [...secret.versions].map(([number, version]) => {
          const { created_time, deletion_time, destroyed } = this.#describe(number, version);
          return [String(number), { created_time, deletion_time, destroyed }];
        });
        return {
          status: 200,
          data: {
            cas_required: secret.casRequired,
            current_version: secret.current,
            oldest_version: secret.oldest,
            max_versions: secret.maxVersions,
            delete_version_after: `${secret.deleteAfterMs / 1_000}s`,
            custom_metadata: null,
            versions: Object.fromEntries(versions),
          },
        };
      }
      case 'create':
      case 'update': {
        const changed = secret ?? newSecret();
        const { max_versions: most, cas_required: cas, delete_version_after: after } = call.body;
        if (typeof most === 'number') changed.maxVersions = most;
        if (typeof cas === 'boolean') changed.casRequired = cas;
        if (after !== undefined) changed.deleteAfterMs = duration(after);
        this.#secrets.set(key, changed);
        return { status: 204 };
      }
      case 'delete':
        // With all its versions, whatever their state.
        this.#secrets.delete(key);
        return { status: 204 };
      default:
        throw unsupported();
    }
  }

  #versions(call: VaultCall, part: 'delete' | 'undelete' | 'destroy', key: string): Reply {
    if (call.operation !== 'update') throw unsupported();
    const numbers = Array.isArray(call.body['versions']) ? call.body['versions'].map(Number) : [];
    if (numbers.length === 0) throw new Refusal(400, 'no version number provided');
    for (const number of numbers) {
      const version = this.#secrets.get(key)?.versions.get(number);
      if (version === undefined || version.destroyed) continue;
      if (part === 'undelete') version.deletion = '';
      else if (part === 'destroy') Object.assign(version, { destroyed: true, data: undefined });
      else if (!this.#isDeleted(version)) version.deletion = this.#now();
    }
    return { status: 204 };
  }

  #list(folder: string): Reply {
    const prefix = folder === '' || folder.endsWith('/') ? folder : `${folder}/`;
    const names = [...this.#secrets.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => /^[^/]*\/?/.exec(key.slice(prefix.length))?.[0] ?? '');
    if (names.length === 0) throw new Refusal(404);
    return { status: 200, data: { keys: [...new Set(names)].sort() } };
  }

  #configure(call: VaultCall): Reply {
    const config = this.#config;
    if (call.operation === 'update') {
      const { max_versions: most, cas_required: cas, delete_version_after: after } = call.body;
      if (typeof most === 'number') config.maxVersions = most;
      if (typeof cas === 'boolean') config.casRequired = cas;
      if (after !== undefined) config.deleteAfterMs = duration(after);
      return { status: 204 };
    }
    if (call.operation !== 'read') throw unsupported();
    return {
      status: 200,
      data: {
        max_versions: config.maxVersions,
        cas_required: config.casRequired,
        delete_version_after: `${config.deleteAfterMs / 1_000}s`,
      },
    };
  }

  #describe(number: number, { created, deletion, destroyed }: Version) {
    return {
      created_time: created,
      custom_metadata: null,
      deletion_time: deletion,
      destroyed,
      version: number,
    };
  }

  #isDeleted({ deletion }: Version): boolean {
    return deletion !== '' && Date.parse(deletion) <= this.#clock();
  }

  #now(): string {
    return new Date(this.#clock()).toISOString();
  }
}

/** KV version 1, as far as somebody notices who took it for version 2: any path, whatever is written, no versions. */
export class Kv1Engine {
  readonly version = 1;
  readonly #secrets = new Map<string, unknown>();

  exists(path: string): boolean {
    return this.#secrets.has(path);
  }

  remains(): unknown[] {
    return [...this.#secrets.values()];
  }

  handle(call: VaultCall, path: string): Reply {
    switch (call.operation) {
      case 'read': {
        if (!this.#secrets.has(path)) throw new Refusal(404);
        return { status: 200, data: this.#secrets.get(path) };
      }
      case 'create':
      case 'update':
        this.#secrets.set(path, call.body);
        return { status: 204 };
      case 'delete':
        this.#secrets.delete(path);
        return { status: 204 };
      default:
        throw new Refusal(404);
    }
  }
}

function newSecret(): Secret {
  return { versions: new Map(), current: 0, oldest: 0, maxVersions: 0, casRequired: false, deleteAfterMs: 0 };
}

function unsupported(): Refusal {
  return new Refusal(405, '1 error occurred:\n\t* unsupported operation\n\n');
}
