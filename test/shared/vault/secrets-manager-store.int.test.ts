import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  ListSecretsCommand,
  RestoreSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { newKeyPair } from '../../../shared/crypto/sealed-box.ts';
import { PipelineError } from '../../../shared/errors.ts';
import {
  dayPrivateKeys,
  keyDestroyer,
  keyInventory,
  keyKeeper,
  keyMover,
  peppers,
  transitKeys,
} from '../../../shared/vault/keys.ts';
import { createVault, openStore, openTransitKeys } from '../../../shared/vault/open-vault.ts';
import { secretKinds, type SecretKind, type SecretName } from '../../../shared/vault/secret-store.ts';
import {
  secretsManagerStore,
  type SecretsManagerStore,
} from '../../../shared/vault/secrets-manager-store.ts';
import { openGate, type HttpGate, type Instead } from '../../helpers/http-gate.ts';
import { iamPolicies } from '../../helpers/iam-policies.ts';
import { enforce, json, type Policy } from '../../helpers/iam.ts';
import { motoPython, startMoto, type Moto } from '../../helpers/moto.ts';
import { vaultConformance } from './conformance.ts';

const region = 'eu-central-1';
const account = '123456789012';
const value = Buffer.from('31 bytes or so of some key or o.');
const python = await motoPython();

describe.skipIf(python === undefined)('AWS Secrets Manager, on moto', () => {
  let moto: Moto;
  let admin: SecretsManagerClient;
  let prefix: string;
  let gates: HttpGate[];
  beforeAll(async () => {
    moto = await startMoto(python ?? '');
    admin = new SecretsManagerClient({ region, endpoint: moto.endpoint, credentials: keyOf('root') });
  });
  afterAll(async () => {
    admin.destroy();
    await moto.stop();
  });
  beforeEach(async () => {
    prefix = `sluice/${randomUUID()}`;
    gates = [];
    await asRoot().create('recoverer/public', newKeyPair().publicKey);
  });
  afterEach(async () => {
    for (const gate of gates) await gate.close();
  });

  /** The vault as its administrator, past every policy. */
  function asRoot(endpoint = moto.endpoint, deletionMs = 1_000): SecretsManagerStore {
    const config = { VAULT_URL: `aws-sm://${region}/${prefix}`, AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint };
    return secretsManagerStore(config, { credentials: keyOf('root'), deletionMs });
  }

  async function gateWith(rule: (request: IncomingMessage, body: Buffer) => Instead | undefined) {
    const gate = await openGate(moto.endpoint, rule);
    gates.push(gate);
    return gate;
  }

  /** The vault behind the policies of deploy/iam, for any role. */
  async function behindPolicies() {
    const policies = await policiesOf(prefix);
    const gate = await gateWith(enforce((key) => policyOf(policies, key), account));
    const config = {
      VAULT_URL: `aws-sm://${region}/${prefix}`,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: gate.endpoint,
    };
    return {
      gate,
      config,
      roles: [...policies.keys()],
      as: (role: string) => secretsManagerStore(config, { credentials: keyOf(role), deletionMs: 1_000 }),
    };
  }

  vaultConformance('AWS Secrets Manager, each port with the policy of its role', async () => {
    const { as, gate } = await behindPolicies();
    const recoverer = newKeyPair();
    await asRoot().destroy('recoverer/public').catch(ignoreAbsentRecoverer);
    await as('migrate').create('recoverer/public', recoverer.publicKey);
    return {
      keeper: keyKeeper(as('keeper')),
      transit: transitKeys(as('connector')),
      peppers: peppers(as('writer')),
      privateKeys: dayPrivateKeys(as('recoverer'), recoverer),
      mover: keyMover(as('archivist')),
      destroyer: keyDestroyer(as('shredder')),
      inventory: keyInventory(as('auditor')),
      goAway: () => gate.close(),
    };
  });

  describe('separation: what each role may, and nothing else', () => {
    type Rights = Readonly<Record<'create' | 'read' | 'list' | 'destroy', readonly SecretKind[]>>;
    const table: Readonly<Record<string, Rights>> = {
      migrate: { create: ['recoverer'], read: ['recoverer'], list: [], destroy: [] },
      connector: { create: [], read: ['transit'], list: [], destroy: [] },
      writer: { create: [], read: ['transit', 'pepper'], list: [], destroy: [] },
      keeper: {
        create: ['day', 'transit', 'pepper'],
        read: ['recoverer'],
        list: ['recoverer', 'day', 'transit', 'pepper'],
        destroy: ['transit'],
      },
      archivist: {
        create: ['day', 'archive'],
        read: ['day', 'archive'],
        list: ['recoverer', 'day', 'archive'],
        destroy: ['day', 'archive'],
      },
      recoverer: { create: [], read: ['recoverer', 'day', 'archive', 'transit'], list: [], destroy: [] },
      tokenizer: { create: [], read: ['recoverer', 'day', 'archive', 'pepper'], list: [], destroy: [] },
      shredder: {
        create: [],
        read: [],
        list: secretKinds,
        destroy: ['day', 'archive', 'transit', 'pepper'],
      },
      auditor: { create: [], read: [], list: secretKinds, destroy: [] },
    };

    test('every policy is in the table', async () => {
      expect((await behindPolicies()).roles.sort()).toEqual(Object.keys(table).sort());
    });

    test.each(Object.entries(table))('%s', async (role, rights) => {
      const store = (await behindPolicies()).as(role);
      const root = asRoot();
      for (const kind of secretKinds) {
        const there: SecretName = `${kind}/there`;
        const fresh: SecretName = `${kind}/fresh`;
        await root.create(there, value);

        const mayCreate = rights.create.includes(kind);
        expect(await outcomeOf(store.create(fresh, value)), `create ${kind}`).toBe(
          mayCreate ? true : 'VAULT_FORBIDDEN',
        );
        expect((await root.read(fresh)) !== undefined, `create ${kind}`).toBe(mayCreate);

        const read = store.read(there).then((content) => content?.toString());
        expect(await outcomeOf(read), `read ${kind}`).toBe(
          rights.read.includes(kind) ? value.toString() : 'VAULT_FORBIDDEN',
        );

        const listed = store.list(kind).then((names) => names.includes(there));
        expect(await outcomeOf(listed), `list ${kind}`).toBe(
          rights.list.includes(kind) ? true : 'VAULT_FORBIDDEN',
        );

        const mayDestroy = rights.destroy.includes(kind);
        expect(await outcomeOf(store.destroy(there)), `destroy ${kind}`).toBe(
          mayDestroy ? undefined : 'VAULT_FORBIDDEN',
        );
        expect((await root.read(there)) === undefined, `destroy ${kind}`).toBe(mayDestroy);
      }
    });

    test('none of them reaches the vault beside it, whose name begins the same', async () => {
      const { gate, roles } = await behindPolicies();
      const other = `${prefix}-other`;
      await admin.send(new CreateSecretCommand({ Name: `${other}/transit/x`, SecretBinary: value }));
      const config = {
        VAULT_URL: `aws-sm://${region}/${other}`,
        AWS_ENDPOINT_URL_SECRETS_MANAGER: gate.endpoint,
      };
      for (const role of roles) {
        const store = secretsManagerStore(config, { credentials: keyOf(role) });
        const calls = [store.read('transit/x'), store.destroy('transit/x'), store.create('day/x', value)];
        const outcomes = await Promise.all(calls.map(outcomeOf));
        expect({ role, outcomes }).toEqual({ role, outcomes: Array(3).fill('VAULT_FORBIDDEN') });
      }
    });

    test('no policy has more in it than calls of ours, nor every resource but to list names', async () => {
      for (const [role, { Statement }] of await policiesOf(prefix)) {
        for (const { Action, Resource, Effect } of Statement) {
          expect({ role, Effect }).toEqual({ role, Effect: 'Allow' });
          expect({ role, other: Action.filter((action) => !calls.has(action)) }).toEqual({ role, other: [] });
          const everything = Action.join() === 'secretsmanager:ListSecrets';
          expect({ role, everything: Resource.includes('*') }).toEqual({ role, everything });
        }
      }
    });

    test('a key that AWS does not know is a stop', async () => {
      const { config } = await behindPolicies();
      const stranger = secretsManagerStore(config, { credentials: keyOf('stranger') });
      await expect(stranger.read('transit/x')).rejects.toMatchObject({
        code: 'VAULT_FORBIDDEN',
        detail: 'UnrecognizedClientException',
      });
    });
  });

  describe('a secret that somebody has scheduled for deletion', () => {
    const name: SecretName = 'transit/2026-11-24';
    beforeEach(async () => {
      await asRoot().create(name, value);
      const SecretId = `${prefix}/${name}`;
      await admin.send(new DeleteSecretCommand({ SecretId, RecoveryWindowInDays: 30 }));
    });

    test('is an outage to its readers, for it may come back', async () => {
      await expect(asRoot().read(name)).rejects.toMatchObject({
        code: 'VAULT_UNAVAILABLE',
        message: expect.stringContaining(`${name} cannot be read: if it is scheduled for deletion`),
      });
      await admin.send(new RestoreSecretCommand({ SecretId: `${prefix}/${name}` }));
      expect((await asRoot().read(name))?.toString()).toBe(value.toString());
    });

    test('blocks its name, which is a stop that says what to do', async () => {
      await expect(asRoot().create(name, value)).rejects.toMatchObject({
        code: 'VAULT_UNSAFE',
        message: expect.stringContaining('scheduled for deletion in Secrets Manager: restore it'),
      });
    });

    test('is listed until it is destroyed, and then nobody can restore it', async () => {
      expect(await asRoot().list('transit')).toEqual([name]);
      await asRoot().destroy(name);
      expect(await asRoot().list('transit')).toEqual([]);
      await expect(
        admin.send(new RestoreSecretCommand({ SecretId: `${prefix}/${name}` })),
      ).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
      expect(await asRoot().read(name)).toBeUndefined();
      expect(await asRoot().create(name, value)).toBe(true);
    });
  });

  describe('a deletion that AWS carries out later', () => {
    test('is waited for', async () => {
      const name: SecretName = 'day/2026-11-24.0123456789abcdef';
      await asRoot().create(name, value);
      let describes = 0;
      const gate = await gateWith((request) => {
        if (targetOf(request) !== 'DescribeSecret') return undefined;
        describes += 1;
        return describes <= 2 ? answering({ Name: 'x', DeletedDate: 1_790_000_000 }) : undefined;
      });
      await asRoot(gate.endpoint).destroy(name);
      expect(describes).toBeGreaterThan(2);
    });

    test('is an outage when it takes too long, never "destroyed"', async () => {
      const gate = await gateWith((request) =>
        targetOf(request) === 'DescribeSecret'
          ? answering({ Name: 'x', DeletedDate: 1_790_000_000 })
          : undefined,
      );
      await expect(asRoot(gate.endpoint, 300).destroy('day/x')).rejects.toMatchObject({
        code: 'VAULT_UNAVAILABLE',
        message: expect.stringContaining('day/x is still being deleted'),
      });
    });

    test('holds up making the same name again, and no longer', async () => {
      let creates = 0;
      const gate = await gateWith((request) => {
        if (targetOf(request) !== 'CreateSecret') return undefined;
        creates += 1;
        return creates <= 2 ? json(400, 'InvalidRequestException') : undefined;
      });
      expect(await asRoot(gate.endpoint, 10_000).create('day/x', value)).toBe(true);
      expect(creates).toBe(3);
      expect((await asRoot().read('day/x'))?.toString()).toBe(value.toString());
    });
  });

  describe('listing', () => {
    test('many pages, and only what lies in this vault under a name of ours', async () => {
      const names = Array.from({ length: 130 }, (_, i): SecretName => `pepper/${i + 1}`);
      for (let i = 0; i < names.length; i += 10) {
        await Promise.all(names.slice(i, i + 10).map((name) => asRoot().create(name, value)));
      }
      for (const Name of [`${prefix}x/pepper/1000`, `${prefix}/pepper/Not Ours`, `${prefix}/pepper/a/b`]) {
        await admin.send(new CreateSecretCommand({ Name: Name.replace(' ', '_'), SecretBinary: value }));
      }
      let pages = 0;
      const gate = await gateWith((request) => {
        if (targetOf(request) === 'ListSecrets') pages += 1;
        return undefined;
      });
      expect(await asRoot(gate.endpoint).list('pepper')).toEqual(names.sort());
      expect(pages).toBeGreaterThan(1);
    });

    describe('when AWS lists what was, minutes ago', () => {
      /** A store whose ListSecrets goes on answering what it answers now. */
      async function withListOfNow(): Promise<SecretsManagerStore> {
        const { SecretList } = await admin.send(
          new ListSecretsCommand({ MaxResults: 100, Filters: [{ Key: 'name', Values: [prefix] }] }),
        );
        const stale = { SecretList: (SecretList ?? []).map(({ Name }) => ({ Name })) };
        const gate = await gateWith((request) =>
          targetOf(request) === 'ListSecrets' ? answering(stale) : undefined,
        );
        return asRoot(gate.endpoint);
      }

      test('what was destroyed since is not in the list', async () => {
        for (const name of ['transit/a', 'transit/b'] as const) await asRoot().create(name, value);
        const store = await withListOfNow();
        await asRoot().destroy('transit/a');
        expect(await store.list('transit')).toEqual(['transit/b']);
      });

      test('what this process made since is in the list', async () => {
        const store = await withListOfNow();
        await store.create('transit/a', value);
        expect(await store.list('transit')).toEqual(['transit/a']);
        await store.destroy('transit/a');
        expect(await store.list('transit')).toEqual([]);
      });

      test('a key that another process moved since is destroyed where it lies', async () => {
        const recoverer = newKeyPair();
        await asRoot().destroy('recoverer/public').catch(ignoreAbsentRecoverer);
        await asRoot().create('recoverer/public', recoverer.publicKey);
        const { publicKey, privateKey } = newKeyPair();
        await keyKeeper(asRoot()).putDayPrivateKey('2026-08-01', publicKey, privateKey);
        const store = await withListOfNow();
        expect(await keyMover(asRoot()).moveDayKeys('2026-08-01', 'archive')).toBe(1);
        expect(await keyDestroyer(store).destroyDayKeys('2026-08-01')).toBe(1);
        expect(
          await dayPrivateKeys(asRoot(), recoverer).dayPrivateKey('2026-08-01', publicKey),
        ).toBeUndefined();
        expect(await asRoot().list('archive')).toEqual([]);
      });
    });
  });

  test('creating again, the answer having been lost, is no second secret and no refusal', async () => {
    let lost = 0;
    const gate = await openGate(moto.endpoint);
    gates.push(gate);
    const losing = await gateWith((request, body) => {
      if (targetOf(request) !== 'CreateSecret' || lost > 0) return undefined;
      lost += 1;
      return (incoming, answer) => {
        void fetch(gate.endpoint, {
          method: 'POST',
          headers: headersOf(incoming),
          body: Uint8Array.from(body),
        })
          .then((passed) => passed.arrayBuffer())
          .then(() => answer.destroy());
      };
    });
    expect(await asRoot(losing.endpoint).create('transit/a', value)).toBe(true);
    expect(lost).toBe(1);
    expect((await asRoot().read('transit/a'))?.toString()).toBe(value.toString());
  });

  test('a secret that is text is none of ours', async () => {
    await admin.send(new CreateSecretCommand({ Name: `${prefix}/transit/a`, SecretString: 'x' }));
    await expect(asRoot().read('transit/a')).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
  });

  test.for([
    ['ThrottlingException', 400, 'VAULT_UNAVAILABLE'],
    ['InternalServiceError', 500, 'VAULT_UNAVAILABLE'],
    ['SomethingNew', 400, 'VAULT_UNAVAILABLE'],
    ['AccessDeniedException', 400, 'VAULT_FORBIDDEN'],
    ['UnrecognizedClientException', 400, 'VAULT_FORBIDDEN'],
    ['InvalidSignatureException', 400, 'VAULT_FORBIDDEN'],
    ['ExpiredTokenException', 400, 'VAULT_FORBIDDEN'],
    ['DecryptionFailure', 400, 'VAULT_FORBIDDEN'],
  ] as const)('%s (%i) is %s, and repeats nothing of the answer', async ([type, status, code]) => {
    const gate = await gateWith(() => json(status, type));
    const store = asRoot(gate.endpoint);
    const calls = [
      store.create('transit/a', value),
      store.read('transit/a'),
      store.list('transit'),
      store.destroy('transit/a'),
      store.assertPresent(),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code } });
      expect(String(outcome.status === 'rejected' && outcome.reason)).not.toContain('203.0.113.7');
    }
  });

  test('a server that says nothing is an outage', async () => {
    const gate = await gateWith(() => () => {});
    const config = {
      VAULT_URL: `aws-sm://${region}/${prefix}`,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: gate.endpoint,
    };
    const store = secretsManagerStore(config, { credentials: keyOf('root'), timeoutMs: 200 });
    await expect(store.read('transit/a')).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
  });

  describe('as VAULT_URL names it', () => {
    let directory: string;
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'aws-sm-'));
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'root');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    });
    afterEach(async () => {
      vi.unstubAllEnvs();
      await rm(directory, { recursive: true });
    });

    test('is made once, and opened with the credentials of the environment', async () => {
      const config = {
        VAULT_URL: `aws-sm://${region}/${prefix}/new`,
        AWS_ENDPOINT_URL_SECRETS_MANAGER: moto.endpoint,
      };
      await expect(openTransitKeys(config)).rejects.toMatchObject({ code: 'VAULT_NOT_FOUND' });
      expect(await createVault(config, join(directory, 'recoverer.key'))).toBe(true);
      expect(await createVault(config, join(directory, 'recoverer.key'))).toBe(false);
      await keyKeeper(await openStore(config)).ensureTransitKey('2026-11-24');
      expect(await (await openTransitKeys(config)).transitKey('2026-11-24')).toHaveLength(32);
    });

    test('whose recoverer/public is gone is an outage, and not a vault without keys', async () => {
      const store = asRoot();
      await admin.send(
        new DeleteSecretCommand({ SecretId: `${prefix}/recoverer/public`, ForceDeleteWithoutRecovery: true }),
      );
      for (const call of [
        () => store.read('transit/a'),
        () => store.list('transit'),
        () => store.destroy('day/a'),
      ]) {
        await expect(call()).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
      }
      await expect(store.assertPresent()).rejects.toMatchObject({ code: 'VAULT_NOT_FOUND' });
    });

    test.for([
      'aws-sm://',
      'aws-sm://eu-central-1',
      'aws-sm://eu-central-1/',
      'aws-sm://eu-central-1/a b',
      'aws-sm://EU/a',
    ])('%s names none', async (VAULT_URL) => {
      await expect(openStore({ VAULT_URL })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    });
  });
});

function policiesOf(prefix: string): Promise<Map<string, Policy>> {
  return iamPolicies({
    REGION: region,
    ACCOUNT: account,
    PREFIX: prefix,
    BUCKET: 'bucket',
    ARCHIVE_PREFIX: 'archive',
  });
}

/** What it resolves with, or the code of its error. */
async function outcomeOf(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    return error instanceof PipelineError ? error.code : error;
  }
}

/** The actions that our calls need. */
const calls = new Set([
  'secretsmanager:CreateSecret',
  'secretsmanager:GetSecretValue',
  'secretsmanager:DescribeSecret',
  'secretsmanager:ListSecrets',
  'secretsmanager:DeleteSecret',
  's3:ListBucket',
  's3:ListBucketVersions',
  's3:GetObject',
  's3:PutObject',
  's3:AbortMultipartUpload',
  's3:DeleteObject',
  's3:DeleteObjectVersion',
]);

/** A role's access key is its name. */
function keyOf(role: string) {
  return { accessKeyId: role, secretAccessKey: 'secret' };
}

function policyOf(policies: ReadonlyMap<string, Policy>, accessKeyId: string): Policy | 'root' | undefined {
  return accessKeyId === 'root' ? 'root' : policies.get(accessKeyId);
}

function targetOf(request: IncomingMessage): string | undefined {
  return /^secretsmanager\.(\w+)$/.exec(String(request.headers['x-amz-target']))?.[1];
}

function headersOf(request: IncomingMessage): Record<string, string> {
  const names = ['content-type', 'x-amz-target', 'x-amz-date', 'authorization'];
  return Object.fromEntries(names.map((name) => [name, String(request.headers[name])]));
}

const answering =
  (body: object): Instead =>
  (_request, answer) => {
    answer.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
    answer.end(JSON.stringify(body));
  };

/** Of its own removal the store says that the vault has lost its mark. */
function ignoreAbsentRecoverer(error: unknown): void {
  expect(error).toMatchObject({ code: 'VAULT_UNAVAILABLE' });
}
