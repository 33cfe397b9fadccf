import { createServer } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { kv2Store } from '../../../shared/vault/kv2-store.ts';
import type { SecretStore } from '../../../shared/vault/secret-store.ts';
import type { VaultConfig } from '../../../shared/vault/vault-config.ts';
import { startVaultServer, type VaultServer } from '../../helpers/vault-server.ts';
import { clientToken, vaultAdmin, type VaultAdmin } from '../../helpers/vault-server-setup.ts';
import { VirtualTime } from '../../helpers/virtual-time.ts';

const mount = 'sluice';
const key = Buffer.alloc(32, 7);
const forbidden = { code: 'VAULT_FORBIDDEN' };

let server: VaultServer;
let admin: VaultAdmin;
let directory: string;
let time: VirtualTime;

beforeEach(async () => {
  server = await startVaultServer();
  admin = vaultAdmin({ address: server.address, token: server.rootToken });
  directory = await mkdtemp(join(tmpdir(), 'kv2-token-'));
  time = new VirtualTime();
  await prepare(admin);
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function prepare(of: VaultAdmin): Promise<void> {
  await of.mount(mount);
  await of.policies(mount);
  const value = key.toString('base64');
  await of.call('POST', `${mount}/data/recoverer/public`, { data: { value } });
  await of.call('POST', `${mount}/data/transit/2026-11-24`, { data: { value } });
}

function open(more: Partial<VaultConfig>): Promise<SecretStore> {
  const timing = { now: () => time.now, later: time.schedule };
  return kv2Store({ VAULT_URL: `vault+${server.address}/${mount}`, ...more }, { time: timing });
}

const works = async (store: SecretStore) => (await store.read('transit/2026-11-24'))?.equals(key);

/** Time goes by for us and for the server. */
async function pass(seconds: number): Promise<void> {
  server.advance(seconds * 1_000);
  await time.advance(seconds * 1_000);
}

const count = (path: string) => server.requests.filter((one) => one.path === `/v1/${path}`).length;
const renewals = () => count('auth/token/renew-self');
const logins = () => count('auth/approle/login');

async function appRole(
  of: VaultAdmin,
  settings: object = {},
): Promise<{ VAULT_ROLE_ID: string; VAULT_SECRET_ID: string }> {
  await of.call('POST', 'sys/auth/approle', { type: 'approle' });
  const role = { token_policies: [`${mount}-connector`], token_ttl: '20m', token_max_ttl: '1h', ...settings };
  await of.call('POST', 'auth/approle/role/connector', role);
  const id = Object(await of.call('GET', 'auth/approle/role/connector/role-id'));
  const secret = Object(await of.call('POST', 'auth/approle/role/connector/secret-id', {}));
  return { VAULT_ROLE_ID: id.data.role_id, VAULT_SECRET_ID: secret.data.secret_id };
}

describe('a token in VAULT_TOKEN', () => {
  test('is renewed at two thirds of its life, however idle the process is', async () => {
    const store = await open({ VAULT_TOKEN: await admin.tokenFor(mount, 'connector', { ttl: '30m' }) });
    expect(await works(store)).toBe(true);
    for (let renewed = 1; renewed <= 5; renewed++) {
      await pass(20 * 60);
      await vi.waitFor(() => expect(renewals()).toBe(renewed));
      await vi.waitFor(() => expect(time.pending).toBe(1));
    }
    expect(await works(store)).toBe(true);
  });

  test('that is past its maximum is forbidden: there is no other', async () => {
    const token = await admin.tokenFor(mount, 'connector', { ttl: '30m', explicit_max_ttl: '45m' });
    const store = await open({ VAULT_TOKEN: token });
    expect(await works(store)).toBe(true);
    for (let minutes = 0; minutes < 60; minutes += 5) await pass(300);
    await expect(works(store)).rejects.toMatchObject(forbidden);
  });

  test('is renewed later where the vault was away at the time', async () => {
    const store = await open({ VAULT_TOKEN: await admin.tokenFor(mount, 'connector', { ttl: '30m' }) });
    await works(store);
    server.sealed = true;
    await pass(20 * 60);
    await vi.waitFor(() => expect(renewals()).toBe(1));
    await vi.waitFor(() => expect(time.pending).toBe(1));
    server.sealed = false;
    await pass(60);
    await vi.waitFor(() =>
      expect(server.requests.at(-1)).toMatchObject({ path: '/v1/auth/token/renew-self', status: 200 }),
    );
    await vi.waitFor(() => expect(time.pending).toBe(1));
    await pass(15 * 60);
    expect(await works(store)).toBe(true);
  });

  test('that may not look itself up works as well, and one that never expires is not renewed', async () => {
    const token = await admin.tokenFor(mount, 'connector', { no_default_policy: true });
    expect(await works(await open({ VAULT_TOKEN: token }))).toBe(true);
    expect(await works(await open({ VAULT_TOKEN: server.rootToken }))).toBe(true);
    expect(time.pending).toBe(0);
  });
});

describe('a token in VAULT_TOKEN_FILE', () => {
  test('is read again when it is refused', async () => {
    const file = join(directory, 'token');
    await writeFile(file, `${await admin.tokenFor(mount, 'connector')}\n`);
    const store = await open({ VAULT_TOKEN_FILE: file });
    expect(await works(store)).toBe(true);
    server.tokens.revokeAll();
    await writeFile(file, await admin.tokenFor(mount, 'connector'));
    expect(await works(store)).toBe(true);
    server.tokens.revokeAll();
    await expect(works(store)).rejects.toMatchObject(forbidden);
  });

  test('that is missing, or holds none, is a setting to correct', async () => {
    const file = join(directory, 'token');
    await expect(works(await open({ VAULT_TOKEN_FILE: file }))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('VAULT_TOKEN_FILE cannot be read (ENOENT)'),
    });
    await writeFile(file, 'not\na token');
    await expect(works(await open({ VAULT_TOKEN_FILE: file }))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.not.stringContaining('not\na'),
    });
  });
});

describe('AppRole', () => {
  test('logs in once, however many ask at the same time', async () => {
    const store = await open(await appRole(admin));
    const answers = await Promise.all(Array.from({ length: 20 }, () => works(store)));
    expect(answers).toEqual(answers.map(() => true));
    expect(logins()).toBe(1);
  });

  test('renews its token, and logs in anew when it can be renewed no longer', async () => {
    const store = await open(await appRole(admin));
    for (let minutes = 0; minutes < 180; minutes++) {
      await pass(60);
      const asked = server.requests.length;
      expect(await works(store)).toBe(true);
      // Never refused on the way: every token was replaced before its end.
      expect(server.requests.slice(asked).every(({ status }) => status === 200)).toBe(true);
      await vi.waitFor(() => expect(time.pending).toBe(1));
    }
    expect(renewals()).toBeGreaterThanOrEqual(6);
    // Not ever more of them, ever shorter, towards the end of each.
    expect(renewals() / logins()).toBeLessThanOrEqual(5);
    expect(logins()).toBeGreaterThanOrEqual(3);
    expect(logins()).toBeLessThanOrEqual(5);
  });

  test('replaces a token before its end where no timer fired: the machine was asleep', async () => {
    const timing = { now: () => time.now, later: () => () => {} };
    const config = { VAULT_URL: `vault+${server.address}/${mount}`, ...(await appRole(admin)) };
    const store = await kv2Store(config, { time: timing });
    for (let hours = 0; hours < 3; hours++) {
      expect(await works(store)).toBe(true);
      await pass(3_600);
    }
    expect(server.requests.every(({ status }) => status < 400)).toBe(true);
    expect(logins()).toBe(3);
  });

  test('logs in anew, once, when its token was revoked under many requests', async () => {
    const store = await open(await appRole(admin));
    await works(store);
    server.tokens.revokeAll();
    const answers = await Promise.all(Array.from({ length: 20 }, () => works(store)));
    expect(answers).toEqual(answers.map(() => true));
    expect(logins()).toBe(2);
  });

  test('logs in anew after an outage that outlasted its token', async () => {
    const store = await open(await appRole(admin));
    await works(store);
    server.sealed = true;
    for (let minutes = 0; minutes < 40; minutes += 2) await pass(120);
    await expect(works(store)).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
    server.sealed = false;
    expect(await works(store)).toBe(true);
  });

  test('goes on with a token that has few uses', async () => {
    const store = await open(await appRole(admin, { token_num_uses: 3 }));
    for (let i = 0; i < 10; i++) expect(await works(store)).toBe(true);
    expect(logins()).toBeGreaterThan(2);
  });

  test('a right that its role lacks costs no login: the token is known to be good', async () => {
    const store = await open(await appRole(admin));
    for (let i = 0; i < 5; i++) {
      await expect(store.read('pepper/1')).rejects.toMatchObject({
        ...forbidden,
        message: expect.stringContaining('"read" on data/pepper/*'),
      });
    }
    expect(logins()).toBe(1);
  });

  test('reads the secret id anew at every login; without a good one it is forbidden, and says nothing secret', async () => {
    const { VAULT_ROLE_ID, VAULT_SECRET_ID } = await appRole(admin, { secret_id_num_uses: 1 });
    const file = join(directory, 'secret-id');
    await writeFile(file, `${VAULT_SECRET_ID}\n`);
    const store = await open({ VAULT_ROLE_ID, VAULT_SECRET_ID_FILE: file });
    expect(await works(store)).toBe(true);
    server.tokens.revokeAll();
    const error = await works(store).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ ...forbidden, message: expect.stringContaining('the login was refused') });
    expect(String(error)).not.toContain(VAULT_SECRET_ID);
    const fresh = Object(await admin.call('POST', 'auth/approle/role/connector/secret-id', {}));
    await writeFile(file, fresh.data.secret_id);
    expect(await works(store)).toBe(true);
  });

  test('an auth method that is not there is refused, as Vault does', async () => {
    const login = { VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: 's', VAULT_AUTH_MOUNT: 'nowhere' };
    await expect(works(await open(login))).rejects.toMatchObject(forbidden);
  });
});

test('Kubernetes: logs in with the pod’s token, for the service account that the role is bound to', async () => {
  const users: Record<string, string> = {
    'jwt-writer': 'system:serviceaccount:sluice:connector',
    'jwt-other': 'system:serviceaccount:sluice:other',
  };
  const cluster = createServer((request, response) => {
    void request.toArray().then((chunks) => {
      const { spec } = JSON.parse(Buffer.concat(chunks).toString());
      const username = users[spec.token];
      const status =
        username === undefined ? { authenticated: false } : { authenticated: true, user: { username } };
      response.end(JSON.stringify({ status }));
    });
  });
  await new Promise<void>((resolve) => {
    cluster.listen(0, '127.0.0.1', resolve);
  });
  try {
    const bound = cluster.address();
    const port = typeof bound === 'object' ? bound?.port : undefined;
    await admin.call('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
    await admin.call('POST', 'auth/kubernetes/config', { kubernetes_host: `http://127.0.0.1:${port}` });
    await admin.call('POST', 'auth/kubernetes/role/connector', {
      bound_service_account_names: ['connector'],
      bound_service_account_namespaces: ['sluice'],
      token_policies: [`${mount}-connector`],
      token_ttl: '20m',
    });
    const file = join(directory, 'jwt');
    const store = await open({ VAULT_KUBERNETES_ROLE: 'connector', VAULT_KUBERNETES_TOKEN_FILE: file });
    for (const wrong of ['jwt-other', 'jwt-nobody']) {
      await writeFile(file, wrong);
      await expect(works(store)).rejects.toMatchObject(forbidden);
    }
    await writeFile(file, 'jwt-writer\n');
    expect(await works(store)).toBe(true);
  } finally {
    cluster.closeAllConnections();
    cluster.close();
  }
});

test('a namespace: the same mount, another vault', async () => {
  await admin.call('POST', 'sys/namespaces/team', {});
  const inTeam = vaultAdmin({ address: server.address, token: server.rootToken, namespace: 'team' });
  await prepare(inTeam);
  await inTeam.call('POST', `${mount}/data/transit/2026-11-25`, { data: { value: key.toString('base64') } });
  const { auth } = await inTeam.call('POST', 'auth/token/create', { policies: [`${mount}-connector`] });
  const VAULT_TOKEN = clientToken({ auth });
  const store = await open({ VAULT_TOKEN, VAULT_NAMESPACE: 'team' });
  expect((await store.read('transit/2026-11-25'))?.equals(key)).toBe(true);
  await expect(works(await open({ VAULT_TOKEN }))).rejects.toMatchObject(forbidden);
  const nowhere = await open({ VAULT_TOKEN, VAULT_NAMESPACE: 'nobody' });
  await expect(works(nowhere)).rejects.toMatchObject({ code: 'VAULT_NOT_FOUND' });
});

test('no token, secret id or key is in any error', async () => {
  const { VAULT_ROLE_ID, VAULT_SECRET_ID } = await appRole(admin);
  const store = await open({ VAULT_ROLE_ID, VAULT_SECRET_ID });
  await works(store);
  const token = server.requests.findLast((one) => one.token !== undefined)?.token ?? '';
  expect(token).toMatch(/^s\./);
  const troubles = [
    { kind: 'status', status: 500 },
    { kind: 'status', status: 403 },
    { kind: 'status', status: 400 },
    { kind: 'garbage' },
    { kind: 'cut' },
    { kind: 'standby', location: 'https://elsewhere.example' },
  ] as const;
  for (const trouble of troubles) {
    server.trouble = trouble;
    for (const call of [
      () => store.read('transit/2026-11-24'),
      () => store.create('transit/2026-11-25', key),
      () => store.destroy('transit/2026-11-24'),
      () => store.list('transit'),
    ]) {
      const error = await call().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(PipelineError);
      const told = `${String(error)} ${JSON.stringify(error)} ${error instanceof Error ? error.stack : ''}`;
      for (const secret of [token, VAULT_SECRET_ID, key.toString('base64'), 'Sign in', 'internal error']) {
        expect(told).not.toContain(secret);
      }
    }
  }
});
