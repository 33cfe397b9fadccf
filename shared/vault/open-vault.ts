import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newKeyPair, publicKeyOf, wipe, type KeyPair } from '../crypto/sealed-box.ts';
import { PipelineError } from '../errors.ts';
import { ensureDirectory, putFile, readSecret } from './durable-file.ts';
import { checkFileVault, checkPrivateDirectory, fileStore, guarded } from './file-store.ts';
import {
  dayPrivateKeys,
  keyDestroyer,
  keyInventory,
  keyKeeper,
  keyMover,
  peppers,
  transitKeys,
} from './keys.ts';
import type {
  DayPrivateKeys,
  KeyDestroyer,
  KeyInventory,
  KeyKeeper,
  KeyMover,
  Peppers,
  TransitKeys,
} from './ports.ts';
import type { SecretStore } from './secret-store.ts';
import type { VaultConfig } from './vault-config.ts';

const recoveryKeyBytes = 32;

/*
 * Configuration → the port a process needs, and no other. Each process has the credential of its own role in its environment.
 * All throw PipelineError VAULT_NOT_FOUND, VAULT_FORBIDDEN, VAULT_UNAVAILABLE, or CONFIG_INVALID for a URL nobody serves.
 */

/** For `sluice maintain` and `sluice tokens rotate`. */
export async function openKeyKeeper(config: VaultConfig): Promise<KeyKeeper> {
  return keyKeeper(await openStore(config));
}

/** For connector and writer. */
export async function openTransitKeys(config: VaultConfig): Promise<TransitKeys> {
  return transitKeys(await openStore(config));
}

/** For the writer and the tokenizer. */
export async function openPeppers(config: VaultConfig): Promise<Peppers> {
  return peppers(await openStore(config));
}

/** For the archivist. */
export async function openKeyMover(config: VaultConfig): Promise<KeyMover> {
  return keyMover(await openStore(config));
}

/** For the shredder. */
export async function openKeyDestroyer(config: VaultConfig): Promise<KeyDestroyer> {
  return keyDestroyer(await openStore(config));
}

/** For whoever may see which keys there are. */
export async function openKeyInventory(config: VaultConfig): Promise<KeyInventory> {
  return keyInventory(await openStore(config));
}

/** For the recoverer, who alone holds `recoveryKeyFile`: 32 bytes, the private half of the vault's recoverer/public. */
export async function openDayPrivateKeys(
  config: VaultConfig,
  recoveryKeyFile: string,
): Promise<DayPrivateKeys> {
  const store = await openStore(config);
  const privateKey = await guarded(() => readSecret(recoveryKeyFile, recoveryKeyBytes + 1));
  if (privateKey?.length !== recoveryKeyBytes) {
    throw new PipelineError(
      'VAULT_FORBIDDEN',
      `${recoveryKeyFile} is not a recovery key of ${recoveryKeyBytes} bytes`,
    );
  }
  const recoverer = { publicKey: publicKeyOf(privateKey), privateKey };
  await checkRecoverer(store, recoverer, recoveryKeyFile);
  return dayPrivateKeys(store, recoverer);
}

/**
 * The vault that VAULT_URL names, as its credential sees it: for those that need two of the ports above. It is there when this
 * resolves.
 */
export async function openStore(config: VaultConfig): Promise<SecretStore> {
  if (isRemote(config)) {
    const store = await remoteStore(config);
    await store.assertPresent();
    return store;
  }
  const directory = directoryOf(config.VAULT_URL);
  await checkFileVault(directory);
  return fileStore(directory);
}

/**
 * Makes the vault that VAULT_URL names ready for use: a directory as {@link createFileVault} does; in a vault that somebody else runs,
 * recoverer/public. The recoverer's private key lies in `recoveryKeyFile`, whichever vault it is. False when it was ready.
 */
export async function createVault(config: VaultConfig, recoveryKeyFile: string): Promise<boolean> {
  if (!isRemote(config)) return createFileVault(directoryOf(config.VAULT_URL), recoveryKeyFile);
  const store = await remoteStore(config);
  return guarded(async () => {
    await ensureDirectory(dirname(resolve(recoveryKeyFile)));
    return ensureRecoverer(store, recoveryKeyFile);
  });
}

/** Not a directory of this machine. */
function isRemote(config: VaultConfig): boolean {
  return !config.VAULT_URL.startsWith('file:');
}

/** Each scheme's adapter is loaded by those who use it. */
async function remoteStore(config: VaultConfig): Promise<SecretStore & { assertPresent(): Promise<void> }> {
  if (/^vault\+https?:/.test(config.VAULT_URL)) {
    const { kv2Store } = await import('./kv2-store.ts');
    return kv2Store(config);
  }
  if (config.VAULT_URL.startsWith('aws-sm:')) {
    const { secretsManagerStore } = await import('./secrets-manager-store.ts');
    return secretsManagerStore(config);
  }
  throw new PipelineError(
    'CONFIG_INVALID',
    'VAULT_URL must be file:DIRECTORY, vault+https://HOST:PORT/MOUNT/PREFIX or aws-sm://REGION/PREFIX',
  );
}

/**
 * Makes a file vault and, outside it, the file with the recoverer's private key, which from then on is for the recoverer to
 * guard. Any number of times, by several at once; nothing that exists is replaced. A vault whose recovery key has been taken
 * elsewhere stays as it is. True when this call made it.
 *
 * @throws PipelineError CONFIG_INVALID when the key file would lie inside the vault, VAULT_FORBIDDEN when it is another vault's
 */
export async function createFileVault(directory: string, recoveryKeyFile: string): Promise<boolean> {
  await guarded(() => ensureDirectory(directory));
  await checkPrivateDirectory(directory);
  return guarded(async () => {
    for (const part of ['day', 'archive', 'transit', 'pepper']) await ensureDirectory(join(directory, part));
    await ensureDirectory(dirname(resolve(recoveryKeyFile)));
    await refuseInside(directory, recoveryKeyFile);
    return ensureRecoverer(fileStore(directory), recoveryKeyFile);
  });
}

/**
 * Sees to it that the vault has a recoverer's public key: of `recoveryKeyFile`, which is made unless the vault or the file is
 * there already. True when this call put it there.
 */
async function ensureRecoverer(store: SecretStore, recoveryKeyFile: string): Promise<boolean> {
  const known = await store.read('recoverer/public');
  if (known === undefined) await ensureRecoveryKey(recoveryKeyFile);
  const privateKey = await readSecret(recoveryKeyFile, recoveryKeyBytes);
  if (privateKey === undefined) return false;
  const recoverer = { publicKey: publicKeyOf(privateKey), privateKey };
  const made = await store.create('recoverer/public', recoverer.publicKey);
  await checkRecoverer(store, recoverer, recoveryKeyFile);
  wipe(privateKey);
  return made;
}

/** Makes the recoverer's private key unless there is one: a crash may have come between it and its public half. */
async function ensureRecoveryKey(file: string): Promise<void> {
  const { privateKey } = newKeyPair();
  await putFile(file, privateKey);
  wipe(privateKey);
}

function directoryOf(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : resolve(url.slice('file:'.length));
}

async function checkRecoverer(store: SecretStore, recoverer: KeyPair, keyFile: string): Promise<void> {
  const known = await store.read('recoverer/public');
  if (known?.equals(recoverer.publicKey) !== true) {
    throw new PipelineError('VAULT_FORBIDDEN', `${keyFile} is the recovery key of another vault`);
  }
}

async function refuseInside(directory: string, recoveryKeyFile: string): Promise<void> {
  const file = join(await realpath(dirname(resolve(recoveryKeyFile))), basename(recoveryKeyFile));
  const path = relative(await realpath(directory), file);
  if (path !== '' && !path.startsWith('..') && !isAbsolute(path)) {
    throw new PipelineError('CONFIG_INVALID', 'the recovery key must lie outside the vault');
  }
}
