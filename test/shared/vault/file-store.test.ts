import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newKeyPair, openSealed, publicKeyOf } from '../../../shared/crypto/sealed-box.ts';
import {
  createFileVault,
  openDayPrivateKeys,
  openKeyDestroyer,
  openKeyInventory,
  openKeyKeeper,
  openKeyMover,
  openPeppers,
  openTransitKeys,
} from '../../../shared/vault/open-vault.ts';
import { vaultConformance } from './conformance.ts';

let base: string;
let directory: string;
let keyFile: string;
let url: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'vault-'));
  directory = join(base, 'vault');
  keyFile = join(base, 'custody', 'recoverer.key');
  url = `file:${directory}`;
  await createFileVault(directory, keyFile);
});
afterEach(() => rm(base, { recursive: true }));

vaultConformance('files', async () => ({
  keeper: await openKeyKeeper({ VAULT_URL: url }),
  transit: await openTransitKeys({ VAULT_URL: url }),
  peppers: await openPeppers({ VAULT_URL: url }),
  privateKeys: await openDayPrivateKeys({ VAULT_URL: url }, keyFile),
  mover: await openKeyMover({ VAULT_URL: url }),
  destroyer: await openKeyDestroyer({ VAULT_URL: url }),
  inventory: await openKeyInventory({ VAULT_URL: url }),
  // A volume that is not mounted any more: the place is there, its files are not.
  async goAway() {
    await rename(directory, `${directory}.gone`);
    await mkdir(directory);
  },
}));

describe('files on disk', () => {
  test('are for their owner alone, and hold no private key in the clear', async () => {
    const pair = newKeyPair();
    const keeper = await openKeyKeeper({ VAULT_URL: url });
    await keeper.putDayPrivateKey('2026-11-24', pair.publicKey, pair.privateKey);
    await keeper.ensureTransitKey('2026-11-24');
    await keeper.ensurePepper(1);

    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.map((file) => file.slice(directory.length + 1)).sort()).toEqual([
      expect.stringMatching(/^day\/2026-11-24\.[0-9a-f]{16}\.box$/),
      'pepper/1.key',
      'recoverer.pub',
      'transit/2026-11-24.key',
    ]);
    for (const file of [...files, keyFile]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    for (const part of ['', 'day', 'archive', 'transit', 'pepper']) {
      expect((await stat(join(directory, part))).mode & 0o777).toBe(0o700);
    }
    for (const file of files) expect((await readFile(file)).includes(pair.privateKey)).toBe(false);
  });

  test('the day file opens with the recoverer key and nothing that lies in the vault', async () => {
    const pair = newKeyPair();
    await (
      await openKeyKeeper({ VAULT_URL: url })
    ).putDayPrivateKey('2026-11-24', pair.publicKey, pair.privateKey);
    const [name] = await readdir(join(directory, 'day'));
    const box = await readFile(join(directory, 'day', name ?? ''));
    const recoverer = await readFile(keyFile);
    expect(openSealed(box, { publicKey: publicKeyOf(recoverer), privateKey: recoverer })).toEqual(
      pair.privateKey,
    );
    expect(openSealed(box, pair)).toBeUndefined();
  });

  test('a file of the wrong length is an outage, never a missing or a short key', async () => {
    await writeFile(join(directory, 'transit', '2026-11-24.key'), Buffer.alloc(31), { mode: 0o600 });
    await expect((await openTransitKeys({ VAULT_URL: url })).transitKey('2026-11-24')).rejects.toMatchObject({
      code: 'VAULT_UNAVAILABLE',
    });
  });

  test('a day is a day: nothing else becomes a path', async () => {
    const keeper = await openKeyKeeper({ VAULT_URL: url });
    await expect(keeper.ensureTransitKey('../../etc/x')).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

describe('opening', () => {
  test('a vault that others can look into is refused, with the remedy', async () => {
    await chmod(directory, 0o750);
    await expect(openTransitKeys({ VAULT_URL: url })).rejects.toMatchObject({
      code: 'VAULT_FORBIDDEN',
      message: expect.stringContaining(`chmod 700 ${directory}`),
    });
  });

  test('no vault, an empty directory, a file: VAULT_NOT_FOUND', async () => {
    const empty = join(base, 'empty');
    await mkdir(empty, { mode: 0o700 });
    for (const place of [join(base, 'nowhere'), empty, keyFile]) {
      await expect(openKeyKeeper({ VAULT_URL: `file:${place}` })).rejects.toMatchObject({
        code: 'VAULT_NOT_FOUND',
      });
    }
  });

  test('the key of another vault opens nothing', async () => {
    const other = join(base, 'other.key');
    await createFileVault(join(base, 'other'), other);
    await expect(openDayPrivateKeys({ VAULT_URL: url }, other)).rejects.toMatchObject({
      code: 'VAULT_FORBIDDEN',
    });
  });
});

describe('creating', () => {
  test('again, and by several at once, changes nothing', async () => {
    const before = [await readFile(keyFile), await readFile(join(directory, 'recoverer.pub'))];
    await Promise.all([createFileVault(directory, keyFile), createFileVault(directory, keyFile)]);
    expect([await readFile(keyFile), await readFile(join(directory, 'recoverer.pub'))]).toEqual(before);

    const [fresh, freshKey] = [join(base, 'fresh'), join(base, 'fresh.key')];
    await Promise.all(Array.from({ length: 5 }, () => createFileVault(fresh, freshKey)));
    expect(publicKeyOf(await readFile(freshKey))).toEqual(await readFile(join(fresh, 'recoverer.pub')));
  });

  test('goes on where a crash left the key without its public half', async () => {
    const key = await readFile(keyFile);
    await rm(join(directory, 'recoverer.pub'));
    await createFileVault(directory, keyFile);
    expect(await readFile(join(directory, 'recoverer.pub'))).toEqual(publicKeyOf(key));
  });

  test('makes no second recoverer once the key has been taken elsewhere', async () => {
    await rename(keyFile, `${keyFile}.elsewhere`);
    await createFileVault(directory, keyFile);
    await expect(stat(keyFile)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('refuses a key file inside the vault', async () => {
    const inside = join(base, 'v', 'recoverer.key');
    await expect(createFileVault(join(base, 'v'), inside)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
