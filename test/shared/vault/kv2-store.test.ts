import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newKeyPair, publicKeyOf } from '../../../shared/crypto/sealed-box.ts';
import {
  createVault,
  openDayPrivateKeys,
  openKeyDestroyer,
  openKeyInventory,
  openKeyKeeper,
  openKeyMover,
  openPeppers,
  openStore,
  openTransitKeys,
} from '../../../shared/vault/open-vault.ts';
import {
  vaultAdmin,
  vaultServers,
  type VaultAdmin,
  type VaultUnderTest,
} from '../../helpers/vault-server-setup.ts';
import { vaultConformance } from './conformance.ts';

const value = Buffer.from('31 bytes or so of some key or o.');
const hex = (key: Buffer | undefined) => key?.toString('hex');

test('runs against a real server where VAULT_TEST_ADDR and VAULT_TEST_TOKEN name one', ({ skip }) => {
  skip(vaultServers.length < 2, 'they do not: only the in-test server was tested');
  expect(vaultServers).toHaveLength(2);
});

describe.each(vaultServers)('$name', ({ open }) => {
  let server: VaultUnderTest;
  let admin: VaultAdmin;
  let mount: string;
  let directory: string;
  let keyFile: string;

  const url = () => `vault+${server.address}/${mount}`;
  const configFor = async (role: string, more?: object) => ({
    VAULT_URL: url(),
    VAULT_TOKEN: await admin.tokenFor(mount, role, more),
  });
  const asRoot = () => openStore({ VAULT_URL: url(), VAULT_TOKEN: server.rootToken });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'kv2-'));
    keyFile = join(directory, 'custody', 'recoverer.key');
    server = await open();
    admin = vaultAdmin({ address: server.address, token: server.rootToken });
    mount = `sluice-${randomBytes(4).toString('hex')}`;
    await admin.mount(mount);
    await admin.policies(mount);
    await createVault(await configFor('migrate'), keyFile);
  });
  afterEach(async () => {
    await admin.call('DELETE', `sys/mounts/${mount}`).catch(() => {});
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  vaultConformance('KV version 2, each port with the policy of its role', async () => ({
    keeper: await openKeyKeeper(await configFor('keeper')),
    transit: await openTransitKeys(await configFor('connector')),
    peppers: await openPeppers(await configFor('writer')),
    privateKeys: await openDayPrivateKeys(await configFor('recoverer'), keyFile),
    mover: await openKeyMover(await configFor('archivist')),
    destroyer: await openKeyDestroyer(await configFor('shredder')),
    inventory: await openKeyInventory(await configFor('auditor')),
    goAway: async () => server.goAway(),
  }));

  describe('creating', () => {
    test('with a policy that allows "create" alone: true, then false, and nothing is replaced', async () => {
      const keeper = await openStore(await configFor('keeper'));
      expect(await keeper.create('transit/2026-11-24', value)).toBe(true);
      expect(await keeper.create('transit/2026-11-24', Buffer.alloc(32))).toBe(false);
      expect(hex(await (await asRoot()).read('transit/2026-11-24'))).toBe(hex(value));
    });

    test('many at once: one makes it, all others learn that it is there', async () => {
      const keeper = await openStore(await configFor('keeper'));
      const values = Array.from({ length: 12 }, () => randomBytes(32));
      const made = await Promise.all(values.map((one) => keeper.create('transit/2026-11-24', one)));
      expect(made.filter(Boolean)).toHaveLength(1);
      expect(hex(await (await asRoot()).read('transit/2026-11-24'))).toBe(hex(values[made.indexOf(true)]));
      expect(await metadata('transit/2026-11-24')).toMatchObject({ current_version: 1 });
    });

    test('without the right is forbidden, and never taken for "it exists"', async () => {
      const writer = await openStore(await configFor('writer'));
      await expect(writer.create('transit/2026-11-24', value)).rejects.toMatchObject({
        code: 'VAULT_FORBIDDEN',
        message: expect.stringContaining('"create" on data/transit/*'),
      });
      expect(await (await asRoot()).read('transit/2026-11-24')).toBeUndefined();
    });

    test('where the policy allows "update" but no look at metadata, the check-and-set decides', async () => {
      const policy = `
        path "${mount}/metadata/recoverer/public" { capabilities = ["read"] }
        path "${mount}/data/transit/*" { capabilities = ["create", "update"] }`;
      await admin.call('PUT', `sys/policies/acl/${mount}-blind`, { policy });
      const blind = await openStore(await configFor('blind'));
      expect(await blind.create('transit/2026-11-24', value)).toBe(true);
      expect(await blind.create('transit/2026-11-24', Buffer.alloc(32))).toBe(false);
      expect(hex(await (await asRoot()).read('transit/2026-11-24'))).toBe(hex(value));
    });

    test.each(['delete', 'destroy'])(
      'what somebody removed with %s, leaving its metadata, is neither there nor free: a stop that names it',
      async (how) => {
        const keeper = await openStore(await configFor('keeper'));
        await keeper.create('transit/2026-11-24', value);
        await admin.call('PUT', `${mount}/${how}/transit/2026-11-24`, { versions: [1] });
        await expect(keeper.create('transit/2026-11-24', value)).rejects.toMatchObject({
          code: 'VAULT_UNSAFE',
          message: expect.stringContaining('transit/2026-11-24 was deleted in the vault'),
        });
        expect(await (await asRoot()).read('transit/2026-11-24')).toBeUndefined();
      },
    );

    test('on a mount that deletes what it keeps after a time is a stop, before anything is sealed to it', async () => {
      await admin.call('POST', `${mount}/config`, { delete_version_after: '720h' });
      const keeper = await openKeyKeeper(await configFor('keeper'));
      await expect(keeper.ensureTransitKey('2026-11-24')).rejects.toMatchObject({
        code: 'VAULT_UNSAFE',
        message: expect.stringContaining('delete_version_after'),
      });
    });
  });

  describe('destroying', () => {
    test('destroys every version, the deleted ones too, and the metadata', async () => {
      const root = await asRoot();
      await root.create('transit/2026-11-24', value);
      for (let i = 0; i < 14; i++) {
        await admin.call('POST', `${mount}/data/transit/2026-11-24`, { data: { value: 'AAAA' } });
      }
      await admin.call('PUT', `${mount}/delete/transit/2026-11-24`, { versions: [7, 15] });
      const shredder = await openStore(await configFor('shredder'));
      await shredder.destroy('transit/2026-11-24');
      await shredder.destroy('transit/2026-11-24');
      expect(await metadata('transit/2026-11-24')).toBeUndefined();
      await admin.call('PUT', `${mount}/undelete/transit/2026-11-24`, { versions: [1, 7, 15] });
      expect(await root.read('transit/2026-11-24')).toBeUndefined();
      expect(await root.list('transit')).toEqual([]);
    });

    test('goes on where it was interrupted between the versions and the metadata', async () => {
      const root = await asRoot();
      await root.create('day/2026-11-24.0123456789abcdef', value);
      await admin.call('PUT', `${mount}/destroy/day/2026-11-24.0123456789abcdef`, { versions: [1] });
      const destroyer = await openKeyDestroyer(await configFor('shredder'));
      expect(await destroyer.destroyDayKeys('2026-11-24')).toBe(1);
      expect(await destroyer.destroyDayKeys('2026-11-24')).toBe(0);
    });

    test('a key that was deleted by hand can come back, so it still counts as there', async () => {
      const root = await asRoot();
      await root.create('day/2026-11-24.0123456789abcdef', value);
      await admin.call('DELETE', `${mount}/data/day/2026-11-24.0123456789abcdef`);
      const inventory = await openKeyInventory(await configFor('auditor'));
      expect(await inventory.dayKeys()).toHaveLength(1);
    });

    test('a move that was interrupted half way through the old place is finished by the next', async () => {
      const pair = newKeyPair();
      const expected = hex(pair.privateKey);
      await (
        await openKeyKeeper(await configFor('keeper'))
      ).putDayPrivateKey('2026-08-01', pair.publicKey, pair.privateKey);
      const root = await asRoot();
      const [name] = await root.list('day');
      const box = name === undefined ? undefined : await root.read(name);
      if (name === undefined || box === undefined) throw new Error('no key');
      await root.create(`archive/${name.slice('day/'.length)}`, box);
      await admin.call('PUT', `${mount}/destroy/${name}`, { versions: [1] });

      const mover = await openKeyMover(await configFor('archivist'));
      expect(await mover.moveDayKeys('2026-08-01', 'archive')).toBe(1);
      expect(await root.list('day')).toEqual([]);
      expect(await mover.moveDayKeys('2026-08-01', 'day')).toBe(1);
      const keys = await openDayPrivateKeys(await configFor('recoverer'), keyFile);
      expect(hex(await keys.dayPrivateKey('2026-08-01', pair.publicKey))).toBe(expected);
    });
  });

  describe('opening', () => {
    const notFound = { code: 'VAULT_NOT_FOUND' };

    test('another prefix, mount, or version of KV: no vault, not an empty one', async () => {
      const token = server.rootToken;
      const v1 = `${mount}-v1`;
      await admin.mount(v1, 1);
      for (const other of [
        `${url()}/elsewhere`,
        `vault+${server.address}/nowhere`,
        `vault+${server.address}/${v1}`,
      ]) {
        await expect(openStore({ VAULT_URL: other, VAULT_TOKEN: token })).rejects.toMatchObject(notFound);
        await expect(openTransitKeys({ VAULT_URL: other, VAULT_TOKEN: token })).rejects.toMatchObject(
          notFound,
        );
      }
      const made = createVault({ VAULT_URL: `vault+${server.address}/${v1}`, VAULT_TOKEN: token }, keyFile);
      await expect(made).rejects.toMatchObject(notFound);
      await admin.call('DELETE', `sys/mounts/${v1}`);
    });

    test('a token that the vault does not know is forbidden', async () => {
      await expect(openStore({ VAULT_URL: url(), VAULT_TOKEN: 'hvs.unknown' })).rejects.toMatchObject({
        code: 'VAULT_FORBIDDEN',
      });
    });

    test('two systems in one mount, by prefix, each with a recoverer of its own', async () => {
      const config = { VAULT_URL: `${url()}/prod/eu`, VAULT_TOKEN: server.rootToken };
      const other = join(directory, 'other.key');
      expect(await createVault(config, other)).toBe(true);
      const keeper = await openKeyKeeper(config);
      await keeper.ensureTransitKey('2026-11-24');
      expect(await (await openKeyInventory(config)).transitDays()).toEqual(['2026-11-24']);
      expect(await (await openKeyInventory(await configFor('auditor'))).transitDays()).toEqual([]);
      await expect(openDayPrivateKeys(config, keyFile)).rejects.toMatchObject({ code: 'VAULT_FORBIDDEN' });
    });

    test('a mount that was restored empty under a running service is an outage, not a lost key', async () => {
      const transit = await openTransitKeys(await configFor('connector'));
      await admin.call('DELETE', `${mount}/metadata/recoverer/public`);
      await expect(transit.transitKey('2026-11-24')).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
      const inventory = await openKeyInventory({ VAULT_URL: url(), VAULT_TOKEN: server.rootToken }).catch(
        (error: unknown) => error,
      );
      expect(inventory).toMatchObject(notFound);
    });

    test('a value that is not what we wrote is an outage, never a key', async () => {
      const transit = await openTransitKeys(await configFor('connector'));
      for (const data of [{ value: 'not base64!' }, { other: 'AAAA' }, { value: 7 }]) {
        await admin.call('POST', `${mount}/data/transit/2026-11-24`, { data });
        await expect(transit.transitKey('2026-11-24')).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
      }
    });
  });

  describe('making it ready', () => {
    test('with the rights of migrate alone; again changes nothing; the private half lies outside, for its owner', async () => {
      const before = await readFile(keyFile);
      expect(await createVault(await configFor('migrate'), keyFile)).toBe(false);
      expect(await readFile(keyFile)).toEqual(before);
      expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
      expect(hex(await (await asRoot()).read('recoverer/public'))).toBe(hex(publicKeyOf(before)));
    });

    test('makes no second recoverer once the key has been taken elsewhere', async () => {
      await rm(keyFile);
      expect(await createVault(await configFor('migrate'), keyFile)).toBe(false);
      await expect(stat(keyFile)).rejects.toMatchObject({ code: 'ENOENT' });
    });
  });

  async function metadata(name: string): Promise<unknown> {
    return (await admin.call('GET', `${mount}/metadata/${name}`))['data'];
  }
});
