import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kv2Store } from '../../../shared/vault/kv2-store.ts';
import type { SecretStore } from '../../../shared/vault/secret-store.ts';
import { startVaultServer, type VaultServer } from '../../helpers/vault-server.ts';
import { vaultAdmin } from '../../helpers/vault-server-setup.ts';

const mount = 'sluice';
const key = Buffer.alloc(32, 7);
const unavailable = { code: 'VAULT_UNAVAILABLE' };

let server: VaultServer;
let store: SecretStore;

beforeEach(async () => {
  server = await startVaultServer();
  await prepare(server);
  store = await storeAt(server);
});
afterEach(() => server[Symbol.asyncDispose]());

async function prepare(of: VaultServer, ca?: string): Promise<void> {
  const admin = vaultAdmin({ address: of.address, token: of.rootToken, ...(ca === undefined ? {} : { ca }) });
  await admin.mount(mount);
  for (const name of ['recoverer/public', 'transit/2026-11-24']) {
    await admin.call('POST', `${mount}/data/${name}`, { data: { value: key.toString('base64') } });
  }
}

function storeAt(of: VaultServer, more: object = {}): Promise<SecretStore> {
  const config = { VAULT_URL: `vault+${of.address}/${mount}`, VAULT_TOKEN: of.rootToken, ...more };
  return kv2Store(config, { timeoutMs: 300 });
}

const calls: readonly [string, () => Promise<unknown>][] = [
  ['read', () => store.read('transit/2026-11-24')],
  ['read what is absent', () => store.read('transit/2026-11-25')],
  ['create', () => store.create('transit/2026-11-25', key)],
  ['list', () => store.list('transit')],
  ['destroy', () => store.destroy('transit/2026-11-24')],
];

describe.each(calls)('%s', (_, call) => {
  test.each([
    ['sealed', { kind: 'status', status: 503 }, 'sealed, or not ready (503)'],
    ['a standby that knows no active node', { kind: 'standby' }, '503'],
    ['overloaded, or over its quota', { kind: 'status', status: 429 }, 'HTTP 429'],
    ['a replica behind', { kind: 'status', status: 412 }, 'HTTP 412'],
    ['a standby of disaster recovery', { kind: 'status', status: 472 }, 'HTTP 472'],
    ['a performance standby', { kind: 'status', status: 473 }, 'HTTP 473'],
    ['failing', { kind: 'status', status: 500 }, 'HTTP 500'],
    ['behind a proxy that cannot reach it', { kind: 'garbage', status: 502 }, 'HTTP 502'],
    ['slow', { kind: 'slow' }, 'no answer in time'],
    ['cut off', { kind: 'cut' }, 'UND_ERR_SOCKET'],
  ] as const)('of a vault that is %s is an outage', async (_, trouble, detail) => {
    server.trouble = trouble;
    await expect(call()).rejects.toMatchObject({ ...unavailable, message: expect.stringContaining(detail) });
    server.trouble = undefined;
    await call();
  });

  test.each([200, 404])('of something that is no vault (%i, HTML) is never an answer', async (status) => {
    server.trouble = { kind: 'garbage', status };
    await expect(call()).rejects.toMatchObject({
      code: expect.stringMatching(/^VAULT_(UNAVAILABLE|NOT_FOUND)$/),
    });
  });
});

test('nobody listens: an outage that names the cause', async () => {
  await server[Symbol.asyncDispose]();
  await expect(store.read('transit/2026-11-24')).rejects.toMatchObject({
    ...unavailable,
    message: expect.stringContaining('ECONNREFUSED'),
  });
  server = await startVaultServer();
});

test('a connection that is accepted and never answered is an outage within the timeout', async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve);
  });
  const bound = silent.address();
  const port = typeof bound === 'object' ? bound?.port : undefined;
  const config = { VAULT_URL: `vault+http://127.0.0.1:${port}/${mount}`, VAULT_TOKEN: 't' };
  const lost = await kv2Store(config, { timeoutMs: 100 });
  await expect(lost.read('transit/2026-11-24')).rejects.toMatchObject(unavailable);
  silent.close();
});

test('a connection that the server closed while it lay idle is made anew', async () => {
  for (let i = 0; i < 20; i++) {
    expect((await store.read('transit/2026-11-24'))?.equals(key)).toBe(true);
    server.disconnect();
  }
});

describe('a standby that redirects', () => {
  test('is followed to the active node, with method, body and token', async () => {
    await using standby = await startVaultServer();
    standby.trouble = { kind: 'standby', location: server.address };
    const there = await storeAt(standby, { VAULT_TOKEN: server.rootToken });
    expect(await there.create('transit/2026-11-25', key)).toBe(true);
    expect((await there.read('transit/2026-11-25'))?.equals(key)).toBe(true);
    expect(await there.list('transit')).toEqual(['transit/2026-11-24', 'transit/2026-11-25']);
    await there.destroy('transit/2026-11-25');
    expect(await store.read('transit/2026-11-25')).toBeUndefined();
  });

  test('is not followed in a circle', async () => {
    server.trouble = { kind: 'standby', location: server.address };
    await expect(store.read('transit/2026-11-24')).rejects.toMatchObject(unavailable);
    expect(server.requests.length).toBeLessThan(10);
  });

  test.each([
    ['another scheme', (address: string) => address.replace('http:', 'https:')],
    ['another path', (address: string) => `${address}/elsewhere`],
    ['credentials', (address: string) => address.replace('http://', 'http://user:word@')],
  ])('is not followed to %s: no token goes there', async (_, elsewhere) => {
    await using other = await startVaultServer();
    server.trouble = { kind: 'standby', location: elsewhere(other.address) };
    await expect(store.read('transit/2026-11-24')).rejects.toMatchObject({ code: 'VAULT_NOT_FOUND' });
    expect(other.requests).toEqual([]);
  });
});

describe('TLS', () => {
  let directory: string;
  let tls: { cert: string; key: string };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kv2-tls-'));
    const [keyOut, out] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
    const subject = ['-subj', '/CN=vault', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const made = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    await promisify(execFile)('openssl', [...made, ...subject, '-keyout', keyOut, '-out', out]);
    tls = { key: await readFile(keyOut, 'utf8'), cert: await readFile(out, 'utf8') };
  });
  afterEach(() => rm(directory, { recursive: true }));

  test('with the authority in VAULT_CACERT it works; without it no token is sent', async () => {
    await using secure = await startVaultServer({ tls });
    await prepare(secure, tls.cert);
    const trusting = await storeAt(secure, { VAULT_CACERT: join(directory, 'cert.pem') });
    expect((await trusting.read('transit/2026-11-24'))?.equals(key)).toBe(true);
    const asked = secure.requests.length;
    const doubting = await storeAt(secure);
    await expect(doubting.read('transit/2026-11-24')).rejects.toMatchObject({
      ...unavailable,
      message: expect.stringContaining('see VAULT_CACERT'),
    });
    expect(secure.requests).toHaveLength(asked);
  });

  test('a redirect from https to http is not followed', async () => {
    await using secure = await startVaultServer({ tls });
    secure.trouble = { kind: 'standby', location: server.address };
    const asked = server.requests.length;
    const there = await storeAt(secure, { VAULT_CACERT: join(directory, 'cert.pem') });
    await expect(there.read('transit/2026-11-24')).rejects.toMatchObject({ code: 'VAULT_NOT_FOUND' });
    expect(server.requests).toHaveLength(asked);
  });

  test('a VAULT_CACERT that cannot be read is a setting to correct', async () => {
    await expect(storeAt(server, { VAULT_CACERT: join(directory, 'none.pem') })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});
