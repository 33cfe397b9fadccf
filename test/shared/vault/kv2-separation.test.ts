import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { kv2Store } from '../../../shared/vault/kv2-store.ts';
import {
  secretKinds,
  type SecretKind,
  type SecretName,
  type SecretStore,
} from '../../../shared/vault/secret-store.ts';
import {
  vaultAdmin,
  vaultRoles,
  vaultServers,
  type VaultAdmin,
  type VaultUnderTest,
} from '../../helpers/vault-server-setup.ts';

/** What each role can do through its store, by kind of secret; whatever is not here must be refused. */
const granted: Record<string, Partial<Record<SecretKind, string>>> = {
  connector: { transit: 'read' },
  writer: { transit: 'read', pepper: 'read' },
  keeper: { recoverer: 'read', day: 'create', transit: 'create list destroy', pepper: 'create' },
  archivist: { day: 'create read list destroy', archive: 'create read list destroy' },
  recoverer: { recoverer: 'read', day: 'read', archive: 'read', transit: 'read' },
  shredder: { day: 'list destroy', archive: 'list destroy', transit: 'list destroy', pepper: 'list destroy' },
  tokenizer: { recoverer: 'read', day: 'read', archive: 'read', pepper: 'read' },
  auditor: { day: 'list', archive: 'list', transit: 'list', pepper: 'list' },
  migrate: { recoverer: 'read create' },
};

/** Requests that no store of ours sends, on a secret. Only who may destroy may also do the parts of destroying. */
const raw: readonly {
  what: string;
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  part: string;
  body?: object;
  of?: string;
}[] = [
  { what: 'replace', method: 'POST', part: 'data', body: { data: { value: 'AAAA' } } },
  {
    what: 'replace with the right version',
    method: 'POST',
    part: 'data',
    body: { options: { cas: 1 }, data: { value: 'AAAA' } },
  },
  { what: 'read an old version', method: 'GET', part: 'data', of: 'read' },
  { what: 'delete softly', method: 'DELETE', part: 'data' },
  { what: 'delete versions softly', method: 'PUT', part: 'delete', body: { versions: [1] } },
  { what: 'undelete', method: 'PUT', part: 'undelete', body: { versions: [1] } },
  { what: 'let it expire', method: 'POST', part: 'metadata', body: { delete_version_after: '1s' } },
  { what: 'destroy versions', method: 'PUT', part: 'destroy', body: { versions: [1] }, of: 'destroy' },
  { what: 'delete metadata', method: 'DELETE', part: 'metadata', of: 'destroy' },
];

/** Requests about the vault as a whole, which no role may send. */
const administration = (mount: string) =>
  [
    ['GET', `${mount}/config`],
    ['POST', `${mount}/config`, { delete_version_after: '1s' }],
    ['GET', `${mount}/metadata/?list=true`],
    ['GET', `${mount}/metadata/recoverer/?list=true`],
    ['POST', `sys/policies/acl/${mount}-writer`, { policy: 'path "*" { capabilities = ["read"] }' }],
    ['DELETE', `sys/mounts/${mount}`],
    ['POST', 'auth/token/create', { policies: [`${mount}-recoverer`] }],
    ['POST', 'sys/seal', {}],
  ] as const;

test('every policy is in the table, and every role of the table has a policy', () => {
  expect(Object.keys(granted).sort()).toEqual(vaultRoles);
});

describe.each(vaultServers)('on $name', ({ open }) => {
  let server: VaultUnderTest;
  let admin: VaultAdmin;
  let root: SecretStore;
  const mount = `sluice-${randomBytes(4).toString('hex')}`;

  beforeAll(async () => {
    server = await open();
    admin = vaultAdmin({ address: server.address, token: server.rootToken });
    await admin.mount(mount);
    await admin.policies(mount);
    root = await storeOf(server.rootToken);
    await root.create('recoverer/public', randomBytes(32));
  });
  afterAll(async () => {
    await admin.call('DELETE', `sys/mounts/${mount}`);
    await server[Symbol.asyncDispose]();
  });

  const storeOf = (token: string) =>
    kv2Store({ VAULT_URL: `vault+${server.address}/${mount}`, VAULT_TOKEN: token });

  describe.each(vaultRoles)('%s', (role) => {
    let token: string;
    let store: SecretStore;
    const may = (kind: SecretKind, right: string) =>
      granted[role]?.[kind]?.split(' ').includes(right) === true;

    beforeAll(async () => {
      token = await admin.tokenFor(mount, role);
      store = await storeOf(token);
    });

    test.each(secretKinds)('%s: each operation of the store is done, or forbidden', async (kind) => {
      const done: string[] = [];
      const name = kind === 'recoverer' ? 'recoverer/other' : fresh(kind);
      if (await attempt(() => store.create(name, randomBytes(32)))) done.push('create');
      // What migrate may create is this one name.
      if (kind === 'recoverer' && may(kind, 'create')) done.push('create');
      const there: SecretName = kind === 'recoverer' ? 'recoverer/public' : fresh(kind);
      await root.create(there, randomBytes(32));
      if (await attempt(() => store.read(there))) done.push('read');
      if (await attempt(() => store.list(kind))) done.push('list');
      if (await attempt(() => store.destroy(there))) done.push('destroy');
      expect(done.sort()).toEqual((granted[role]?.[kind] ?? '').split(' ').filter(Boolean).sort());
      expect((await root.read(there)) === undefined).toBe(may(kind, 'destroy'));
    });

    test.each(secretKinds)('%s: every other request is refused with 403', async (kind) => {
      for (const { what, method, part, body, of } of raw) {
        const there: SecretName = kind === 'recoverer' ? 'recoverer/public' : fresh(kind);
        await root.create(there, randomBytes(32));
        const query = method === 'GET' ? '?version=1' : '';
        const status = await send(token, method, `${mount}/${part}/${there}${query}`, body);
        expect([what, status === 403]).toEqual([what, of === undefined || !may(kind, of)]);
      }
    });

    test('nothing that concerns the vault as a whole', async () => {
      for (const [method, path, body] of administration(mount)) {
        expect([path, await send(token, method, path, body)]).toEqual([path, 403]);
      }
    });

    test('what it may do ends at its mount', async () => {
      const other = `${mount}-other`;
      await admin.mount(other);
      for (const kind of secretKinds) {
        expect(await send(token, 'GET', `${other}/data/${kind}/public`)).toBe(403);
        expect(await send(token, 'GET', `${other}/metadata/${kind}/?list=true`)).toBe(403);
      }
      await admin.call('DELETE', `sys/mounts/${other}`);
    });
  });

  async function attempt(operation: () => Promise<unknown>): Promise<boolean> {
    try {
      await operation();
      return true;
    } catch (error) {
      if (error instanceof PipelineError && error.code === 'VAULT_FORBIDDEN') return false;
      throw error;
    }
  }

  async function send(
    token: string,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<number> {
    const answer = await fetch(`${server.address}/v1/${path}`, {
      method,
      headers: { 'x-vault-token': token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    await answer.arrayBuffer();
    return answer.status;
  }
});

function fresh(kind: SecretKind): SecretName {
  return `${kind}/${randomBytes(8).toString('hex')}`;
}
