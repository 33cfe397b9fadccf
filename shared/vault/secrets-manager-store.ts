import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { awsClientOptions } from '../aws/client-options.ts';
import { awsErrorName, awsRefusal } from '../aws/errors.ts';
import { secureBuffer } from '../crypto/sealed-box.ts';
import { PipelineError } from '../errors.ts';
import { sleep } from '../lifecycle.ts';
import { partsOf, type SecretKind, type SecretName, type SecretStore } from './secret-store.ts';
import type { VaultConfig } from './vault-config.ts';

/** Calls take tens of milliseconds; what takes longer is an outage, and ours to wait out. */
const callTimeoutMs = 5_000;
const describedAtOnce = 16;
/** How far ListSecrets may be behind, says its manual (5 minutes); what we made we remember for twice as long. */
const listLagMs = 10 * 60_000;
/** A forced deletion is done in the background, within seconds. */
const deletionMs = 30_000;
const pollMs = 250;

const recovererPublic: SecretName = 'recoverer/public';
const invalidUrl = 'VAULT_URL must be aws-sm://REGION/PREFIX';

export interface SecretsManagerStore extends SecretStore {
  /** @throws PipelineError VAULT_NOT_FOUND unless there is a recoverer/public, VAULT_FORBIDDEN, VAULT_UNAVAILABLE */
  assertPresent(): Promise<void>;
}

export interface SecretsManagerOptions {
  /** Unset: as the SDK finds them. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly timeoutMs?: number;
  readonly deletionMs?: number;
}

/** Where a secret stands: absent, to be read, or **marked: it cannot be read, but an administrator can restore it until it goes**. */
type State = 'absent' | 'live' | 'marked';

/**
 * A vault in AWS Secrets Manager: `PREFIX/<kind>/<name>`, a secret with one binary version each. Rights are given by kind and action;
 * deploy/iam has the policies.
 *
 * - `destroy` deletes **without a recovery window** and resolves when DescribeSecret no longer finds the secret: nobody can restore it.
 * - A secret that somebody else has scheduled for deletion is neither there nor gone: it is listed, so that a shredder destroys
 *   it, and reading it is an outage, never "destroyed".
 * - ListSecrets may be minutes behind. So every name is confirmed by DescribeSecret, what this process made is added, and a day's key is
 *   found where it was moved to though listed where it was; what **another process made anew within five minutes may be missing**.
 *
 * @throws PipelineError CONFIG_INVALID
 */
export function secretsManagerStore(
  config: Pick<VaultConfig, 'VAULT_URL' | 'AWS_ENDPOINT_URL_SECRETS_MANAGER'>,
  options: SecretsManagerOptions = {},
): SecretsManagerStore {
  const [, region, prefix] =
    /^aws-sm:\/\/([a-z0-9-]+)\/([\w+=.@-]+(?:\/[\w+=.@-]+)*)$/.exec(config.VAULT_URL) ?? [];
  if (region === undefined || prefix === undefined) throw new PipelineError('CONFIG_INVALID', invalidUrl);
  const endpoint = config.AWS_ENDPOINT_URL_SECRETS_MANAGER;
  const client = new SecretsManagerClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    ...awsClientOptions({ maxSockets: 32, timeoutMs: options.timeoutMs ?? callTimeoutMs, maxAttempts: 3 }),
  });
  return new Store(client, prefix, options.deletionMs ?? deletionMs);
}

class Store implements SecretsManagerStore {
  readonly #client: SecretsManagerClient;
  readonly #prefix: string;
  readonly #deletionMs: number;
  /** What this process made, and when. */
  readonly #made = new Map<SecretName, number>();

  constructor(client: SecretsManagerClient, prefix: string, deletionMs: number) {
    this.#client = client;
    this.#prefix = prefix;
    this.#deletionMs = deletionMs;
  }

  async create(name: SecretName, value: Buffer): Promise<boolean> {
    const command = new CreateSecretCommand({ Name: this.#id(name), SecretBinary: value });
    for (const deadline = Date.now() + this.#deletionMs; ; await sleep(pollMs)) {
      try {
        await this.#client.send(command);
        this.#remember(name);
        return true;
      } catch (error) {
        const code = awsErrorName(error);
        if (code !== 'ResourceExistsException' && code !== 'InvalidRequestException') throw classify(error);
        const state = await this.#state(name);
        if (state === 'live') return false;
        // Its predecessor is on its way out: a key that is moved back, say.
        if (Date.now() < deadline) continue;
        if (state === 'absent') throw classify(error);
        throw new PipelineError(
          'VAULT_UNSAFE',
          `${name} is scheduled for deletion in Secrets Manager: restore it, or delete it without a recovery window`,
        );
      }
    }
  }

  async read(name: SecretName): Promise<Buffer | undefined> {
    try {
      const { SecretBinary: binary } = await this.#client.send(
        new GetSecretValueCommand({ SecretId: this.#id(name) }),
      );
      if (binary === undefined)
        throw new PipelineError('VAULT_UNAVAILABLE', `${name} is text, and none of ours`);
      const value = secureBuffer(binary.length);
      value.set(binary);
      binary.fill(0);
      return value;
    } catch (error) {
      const code = awsErrorName(error);
      if (code !== 'ResourceNotFoundException' && code !== 'InvalidRequestException') throw classify(error);
      if ((await this.#state(name)) !== 'absent') {
        throw new PipelineError(
          'VAULT_UNAVAILABLE',
          `${name} cannot be read: if it is scheduled for deletion, restore it or destroy it`,
        );
      }
      if (name !== recovererPublic) await this.#assertStillPresent();
      return undefined;
    }
  }

  async list(kind: SecretKind): Promise<SecretName[]> {
    // A day's key that has just been moved is listed where it was: look for each at both places.
    const kinds: readonly SecretKind[] = kind === 'day' || kind === 'archive' ? ['day', 'archive'] : [kind];
    const made = [...this.#made.keys()].map(partsOf).filter((parts) => kinds.includes(parts.kind));
    const rests = new Set([...made.map(({ rest }) => rest), ...(await this.#search(kinds))]);
    const waiting = [...rests].map((rest): SecretName => `${kind}/${rest}`);
    const found: SecretName[] = [];
    while (waiting.length > 0) {
      const some = waiting.splice(0, describedAtOnce);
      const states = await Promise.all(some.map((name) => this.#state(name)));
      found.push(...some.filter((_, i) => states[i] !== 'absent'));
    }
    if (found.length === 0) await this.#assertStillPresent();
    return found.sort();
  }

  async destroy(name: SecretName): Promise<void> {
    const SecretId = this.#id(name);
    try {
      await this.#client.send(new DeleteSecretCommand({ SecretId, ForceDeleteWithoutRecovery: true }));
    } catch (error) {
      const code = awsErrorName(error);
      // Not documented for a forced deletion, and harmless: we look ourselves.
      if (code === 'InvalidParameterException' || code === 'InvalidRequestException') {
        throw new PipelineError(
          'VAULT_UNSAFE',
          `${name} cannot be deleted: remove its replicas in other regions, or the service that manages it`,
        );
      }
      if (code !== 'ResourceNotFoundException') throw classify(error);
    }
    this.#made.delete(name);
    for (const deadline = Date.now() + this.#deletionMs; ; await sleep(pollMs)) {
      if ((await this.#state(name)) === 'absent') return this.#assertStillPresent();
      if (Date.now() >= deadline)
        throw new PipelineError('VAULT_UNAVAILABLE', `${name} is still being deleted`);
    }
  }

  async assertPresent(): Promise<void> {
    const state = await this.#state(recovererPublic);
    if (state !== 'live') throw new PipelineError('VAULT_NOT_FOUND', `no ${recovererPublic} in it`);
  }

  /** Once it was opened, a vault without its recoverer/public is one that is not itself: wait for it. */
  async #assertStillPresent(): Promise<void> {
    if ((await this.#state(recovererPublic)) === 'live') return;
    throw new PipelineError('VAULT_UNAVAILABLE', `${recovererPublic} is gone from it`);
  }

  async #state(name: SecretName): Promise<State> {
    try {
      const { DeletedDate } = await this.#client.send(
        new DescribeSecretCommand({ SecretId: this.#id(name) }),
      );
      return DeletedDate === undefined ? 'live' : 'marked';
    } catch (error) {
      if (awsErrorName(error) === 'ResourceNotFoundException') return 'absent';
      throw classify(error);
    }
  }

  /** What ListSecrets says, without the kind. Its filter is a search by how a name begins, in one of several ways. */
  async #search(kinds: readonly SecretKind[]): Promise<string[]> {
    const starts = kinds.map((kind) => `${this.#prefix}/${kind}/`);
    const rests: string[] = [];
    let NextToken: string | undefined;
    try {
      do {
        const answer = await this.#client.send(
          new ListSecretsCommand({
            Filters: [{ Key: 'name', Values: starts }],
            IncludePlannedDeletion: true,
            MaxResults: 100,
            ...(NextToken === undefined ? {} : { NextToken }),
          }),
        );
        for (const { Name = '' } of answer.SecretList ?? []) {
          const start = starts.find((one) => Name.startsWith(one));
          const rest = start === undefined ? '' : Name.slice(start.length);
          if (/^[0-9a-z][0-9a-z.-]{0,100}$/.test(rest)) rests.push(rest);
        }
        NextToken = answer.NextToken;
      } while (NextToken !== undefined);
    } catch (error) {
      throw classify(error);
    }
    return rests;
  }

  #remember(name: SecretName): void {
    const now = Date.now();
    for (const [old, at] of this.#made) if (at < now - listLagMs) this.#made.delete(old);
    this.#made.set(name, now);
  }

  #id(name: SecretName): string {
    const { kind, rest } = partsOf(name);
    return `${this.#prefix}/${kind}/${rest}`;
  }
}

/** Of the key that encrypts the secrets: refused, disabled, or gone. */
const keyRefused = new Set(['DecryptionFailure', 'EncryptionFailure']);

/**
 * Total. VAULT_FORBIDDEN stops the process, so only what is certain gets it; throttling, outages and **everything unknown is
 * VAULT_UNAVAILABLE**. The detail is the error's name, never its message.
 */
function classify(error: unknown): PipelineError {
  if (error instanceof PipelineError) return error;
  const name = awsErrorName(error);
  if (keyRefused.has(name)) return new PipelineError('VAULT_FORBIDDEN', `${name}: its KMS key refuses`);
  const refusal = awsRefusal(error);
  return new PipelineError(refusal === undefined ? 'VAULT_UNAVAILABLE' : 'VAULT_FORBIDDEN', refusal ?? name);
}
