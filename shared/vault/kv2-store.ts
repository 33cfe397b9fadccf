import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { wipe } from '../crypto/sealed-box.ts';
import { PipelineError } from '../errors.ts';
import { systemCode } from './durable-file.ts';
import { kv2Http, type Kv2Answer, type Kv2Http, type Kv2Request } from './kv2-http.ts';
import { loginOf } from './kv2-login.ts';
import { errorsOf, isAbsent, refusal } from './kv2-refusal.ts';
import { realTime, TokenHolder, type Timing } from './kv2-token.ts';
import { createBody, takeValue } from './kv2-value.ts';
import { partsOf, type SecretKind, type SecretName, type SecretStore } from './secret-store.ts';
import type { VaultConfig } from './vault-config.ts';

export interface Kv2Store extends SecretStore {
  /** @throws PipelineError VAULT_NOT_FOUND unless there is a recoverer/public, VAULT_FORBIDDEN, VAULT_UNAVAILABLE */
  assertPresent(): Promise<void>;
}

const recovererPublic: SecretName = 'recoverer/public';

/** What metadata says of a secret: whether its current version can be read, and the versions that are not destroyed. */
interface State {
  /** Hidden: this credential may not read the metadata. Deleted: it cannot be read, but somebody could bring it back, or it blocks its name. */
  readonly is: 'absent' | 'hidden' | 'live' | 'deleted';
  readonly versions: readonly number[];
}

/**
 * A vault in a KV version 2 mount of HashiCorp Vault or OpenBao: `MOUNT/data/PREFIX/<kind>/<name>`, a secret each, whose field `value` is base64.
 * Rights are given by kind and capability; deploy/vault has the policies.
 *
 * **Every role may read the metadata of recoverer/public**, for absent means absent from a vault that is there: a mount restored
 * empty, or another prefix, has no keys either.
 *
 * @throws PipelineError CONFIG_INVALID for settings that say no way to log in, or two
 */
export async function kv2Store(
  config: VaultConfig,
  options: { timeoutMs?: number; time?: Timing } = {},
): Promise<Kv2Store> {
  const { origin, mount, prefix } = addressOf(config.VAULT_URL);
  const login = loginOf(config);
  const ca = config.VAULT_CACERT === undefined ? undefined : await readCa(config.VAULT_CACERT);
  const http = kv2Http({ origin, namespace: config.VAULT_NAMESPACE, ca, timeoutMs: options.timeoutMs });
  return new Store(http, new TokenHolder(http, login, options.time ?? realTime), mount, prefix);
}

class Store implements Kv2Store {
  readonly #http: Kv2Http;
  readonly #tokens: TokenHolder;
  readonly #mount: string;
  readonly #prefix: string;

  constructor(http: Kv2Http, tokens: TokenHolder, mount: string, prefix: string) {
    this.#http = http;
    this.#tokens = tokens;
    this.#mount = mount;
    this.#prefix = prefix;
  }

  async create(name: SecretName, value: Buffer): Promise<boolean> {
    // Looked for first: the vault's audit log then shows a refusal only where something is wrong.
    if (isThere(name, await this.#state(name))) return false;
    const body = createBody(value);
    const answer = await this.#send({ method: 'POST', path: this.#path('data', name), body }).finally(() =>
      wipe(body),
    );
    if (answer.status < 300) return assertKept(answer.body);
    // It was made meanwhile. Whose policy allows only "create" is then refused: for an existing secret Vault asks for "update".
    const mismatch =
      answer.status === 400 && errorsOf(answer.body)?.some((text) => /check-and-set/.test(text));
    if (mismatch === true || answer.status === 403) {
      const state = await this.#state(name);
      if (isThere(name, state) || (mismatch === true && state.is === 'hidden')) return false;
      if (mismatch === true) throw new PipelineError('VAULT_UNAVAILABLE', `${name} has just been destroyed`);
    }
    throw refusal(answer.status, answer.body, `"create" on data/${partsOf(name).kind}/*`);
  }

  async read(name: SecretName): Promise<Buffer | undefined> {
    const answer = await this.#send({ method: 'GET', path: this.#path('data', name) });
    if (answer.status === 200) {
      const value = takeValue(answer.body);
      // A mount of version 1 would have given back what was written, without metadata.
      if (value === undefined || !dataAnswer.safeParse(parse(answer.body)).success) {
        throw new PipelineError('VAULT_UNAVAILABLE', `${name} is not what was written there`);
      }
      return value;
    }
    // Deleted or destroyed: the version's metadata and no data.
    if (answer.status === 404 && dataAnswer.safeParse(parse(answer.body)).success) return undefined;
    if (!isAbsent(answer.status, answer.body)) {
      throw refusal(answer.status, answer.body, `"read" on data/${partsOf(name).kind}/*`);
    }
    if (name !== recovererPublic) await this.#assertStillPresent();
    return undefined;
  }

  async list(kind: SecretKind): Promise<SecretName[]> {
    const path = `${this.#mount}/metadata/${this.#prefix}${kind}/?list=true`;
    const answer = await this.#send({ method: 'GET', path });
    if (isAbsent(answer.status, answer.body)) {
      await this.#assertStillPresent();
      return [];
    }
    if (answer.status !== 200) throw refusal(answer.status, answer.body, `"list" on metadata/${kind}/`);
    const found = listAnswer.safeParse(parse(answer.body));
    if (!found.success)
      throw new PipelineError('VAULT_UNAVAILABLE', `an unknown answer for the list of ${kind}`);
    return found.data.data.keys
      .filter((key) => !key.endsWith('/'))
      .map((key): SecretName => `${kind}/${key}`)
      .sort();
  }

  async destroy(name: SecretName): Promise<void> {
    const state = await this.#state(name);
    if (state.is === 'hidden') {
      throw new PipelineError('VAULT_FORBIDDEN', `it grants no "read" on metadata/${partsOf(name).kind}/*`);
    }
    if (state.is === 'absent') return this.#assertStillPresent();
    if (state.versions.length > 0) {
      const body = Buffer.from(JSON.stringify({ versions: state.versions }));
      const answer = await this.#send({ method: 'PUT', path: this.#path('destroy', name), body });
      if (answer.status !== 204 && answer.status !== 200) {
        throw refusal(answer.status, answer.body, `"update" on destroy/${partsOf(name).kind}/*`);
      }
    }
    const answer = await this.#send({ method: 'DELETE', path: this.#path('metadata', name) });
    if (answer.status !== 204 && answer.status !== 200) {
      throw refusal(answer.status, answer.body, `"delete" on metadata/${partsOf(name).kind}/*`);
    }
    const { is } = await this.#state(name);
    if (is !== 'absent') throw new PipelineError('VAULT_UNAVAILABLE', `${name} is still there`);
  }

  async assertPresent(): Promise<void> {
    const answer = await this.#send({ method: 'GET', path: this.#path('metadata', recovererPublic) });
    const { is } = stateOf(answer);
    if (is === 'live') return;
    if (is === 'hidden') throw refusal(403, answer.body, `"read" on metadata/${recovererPublic}`);
    throw new PipelineError('VAULT_NOT_FOUND', `no ${recovererPublic} in it`);
  }

  /** Once it was opened, a vault without its recoverer/public is one that is not itself: wait for it. */
  async #assertStillPresent(): Promise<void> {
    try {
      await this.assertPresent();
    } catch (error) {
      const lost = error instanceof PipelineError && error.code === 'VAULT_NOT_FOUND';
      throw lost ? new PipelineError('VAULT_UNAVAILABLE', `${recovererPublic} is gone from it`) : error;
    }
  }

  async #state(name: SecretName): Promise<State> {
    return stateOf(await this.#send({ method: 'GET', path: this.#path('metadata', name) }));
  }

  #path(part: 'data' | 'metadata' | 'destroy', name: SecretName): string {
    const { kind, rest } = partsOf(name);
    return `${this.#mount}/${part}/${this.#prefix}${kind}/${rest}`;
  }

  /** Once more with another token where the vault refuses this one. */
  async #send(request: Kv2Request): Promise<Kv2Answer> {
    const token = await this.#tokens.token();
    const answer = await this.#http({ ...request, token });
    if (answer.status !== 403) return answer;
    const instead = await this.#tokens.instead(token);
    return instead === undefined ? answer : this.#http({ ...request, token: instead });
  }
}

/** @throws PipelineError VAULT_UNSAFE for a secret that somebody has deleted without destroying it: it may come back, or be missed */
function isThere(name: SecretName, { is }: State): boolean {
  if (is !== 'deleted') return is === 'live';
  throw new PipelineError(
    'VAULT_UNSAFE',
    `${name} was deleted in the vault: undelete it, or delete its metadata too`,
  );
}

const versionFields = { deletion_time: z.string(), destroyed: z.boolean() };
const dataAnswer = z.object({
  data: z.object({ data: z.unknown(), metadata: z.object({ version: z.number(), ...versionFields }) }),
});
const createAnswer = z.object({ data: z.object({ version: z.number(), ...versionFields }) });
const listAnswer = z.object({ data: z.object({ keys: z.array(z.string()) }) });
const metadataAnswer = z.object({
  data: z.object({
    current_version: z.number(),
    versions: z.record(z.string().regex(/^\d+$/), z.object(versionFields)),
  }),
});

function stateOf(answer: Kv2Answer): State {
  if (answer.status === 403) return { is: 'hidden', versions: [] };
  if (isAbsent(answer.status, answer.body)) return { is: 'absent', versions: [] };
  if (answer.status !== 200) throw refusal(answer.status, answer.body);
  const found = metadataAnswer.safeParse(parse(answer.body));
  if (!found.success) throw new PipelineError('VAULT_NOT_FOUND', 'no KV version 2 mount there');
  const { current_version: current, versions } = found.data.data;
  const version = versions[String(current)];
  const deleted =
    version === undefined ||
    version.destroyed ||
    (version.deletion_time !== '' && isPast(version.deletion_time));
  const numbers = Object.entries(versions).filter(([, { destroyed }]) => !destroyed);
  return { is: deleted ? 'deleted' : 'live', versions: numbers.map(([number]) => Number(number)) };
}

/** A version whose time is still to come can be read until then. */
function isPast(time: string): boolean {
  return Date.parse(time) <= Date.now();
}

/** @throws PipelineError VAULT_UNSAFE when what was written will not last, VAULT_NOT_FOUND when there is no such thing as a version */
function assertKept(body: Buffer): true {
  const made = createAnswer.safeParse(parse(body));
  if (!made.success) throw new PipelineError('VAULT_NOT_FOUND', 'no KV version 2 mount there');
  if (made.data.data.deletion_time === '') return true;
  throw new PipelineError(
    'VAULT_UNSAFE',
    'its mount deletes secrets after a time: set delete_version_after to 0',
  );
}

/** `vault+https://vault.example:8200/sluice/prod` → origin, mount `sluice`, prefix `prod/`. A `/` in the mount's own name is `%2F`. */
function addressOf(vaultUrl: string): { origin: string; mount: string; prefix: string } {
  const text = vaultUrl.replace(/^vault\+/, '');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const [mount = '', ...rest] = (url?.pathname ?? '').split('/').filter((part) => part !== '');
  const parts = [...mount.split(/%2f/i), ...rest];
  if (url === undefined || url.username !== '' || !parts.every((part) => /^\w[\w.-]*$/.test(part))) {
    throw new PipelineError('CONFIG_INVALID', 'VAULT_URL must be vault+https://HOST:PORT/MOUNT/PREFIX');
  }
  return {
    origin: url.origin,
    mount: mount.replaceAll(/%2f/gi, '/'),
    prefix: rest.map((part) => `${part}/`).join(''),
  };
}

async function readCa(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `VAULT_CACERT cannot be read (${systemCode(error) ?? 'error'})`,
    );
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
