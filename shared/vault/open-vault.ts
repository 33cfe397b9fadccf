import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newKeyPair, publicKeyBytes, publicKeyOf, wipe, type KeyPair } from '../crypto/sealed-box.ts';
import { PipelineError } from '../errors.ts';
import { ensureDirectory, putFile, readSecret } from './durable-file.ts';
import {
  checkFileVault,
  checkPrivateDirectory,
  fileDayPrivateKeys,
  fileKeyKeeper,
  filePeppers,
  fileTransitKeys,
  guarded,
  recovererPublicFile,
} from './file-vault.ts';
import type { DayPrivateKeys, KeyKeeper, Peppers, TransitKeys } from './ports.ts';

const recoveryKeyBytes = 32;

/*
 * VAULT_URL → the port a process needs, and no other. `file:DIRECTORY` is relative to the working directory. All throw
 * PipelineError VAULT_NOT_FOUND, VAULT_FORBIDDEN, VAULT_UNAVAILABLE, or CONFIG_INVALID for a scheme nobody serves.
 */

/** For `sluice maintain`. */
export async function openKeyKeeper(url: string): Promise<KeyKeeper> {
  return fileKeyKeeper(await existingVault(url));
}

/** For connector and writer. */
export async function openTransitKeys(url: string): Promise<TransitKeys> {
  return fileTransitKeys(await existingVault(url));
}

/** For the writer. */
export async function openPeppers(url: string): Promise<Peppers> {
  return filePeppers(await existingVault(url));
}

/** For the recoverer, who alone holds `recoveryKeyFile`: 32 bytes, the private half of the vault's recoverer.pub. */
export async function openDayPrivateKeys(url: string, recoveryKeyFile: string): Promise<DayPrivateKeys> {
  const directory = await existingVault(url);
  const privateKey = await guarded(() => readSecret(recoveryKeyFile, recoveryKeyBytes + 1));
  if (privateKey?.length !== recoveryKeyBytes) {
    throw new PipelineError(
      'VAULT_FORBIDDEN',
      `${recoveryKeyFile} is not a recovery key of ${recoveryKeyBytes} bytes`,
    );
  }
  const recoverer = { publicKey: publicKeyOf(privateKey), privateKey };
  await checkRecoverer(directory, recoverer, recoveryKeyFile);
  return fileDayPrivateKeys(directory, recoverer);
}

/**
 * Makes the vault that VAULT_URL names, where that is for us to make: {@link createFileVault}. False when it was there.
 */
export async function createVault(url: string, recoveryKeyFile: string): Promise<boolean> {
  return createFileVault(directoryOf(url), recoveryKeyFile);
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
    for (const part of ['day', 'transit', 'pepper']) await ensureDirectory(join(directory, part));
    await ensureDirectory(dirname(resolve(recoveryKeyFile)));
    await refuseInside(directory, recoveryKeyFile);
    const publicFile = join(directory, recovererPublicFile);
    const known = await readSecret(publicFile, publicKeyBytes);
    if (known === undefined) await ensureRecoveryKey(recoveryKeyFile);
    const privateKey = await readSecret(recoveryKeyFile, recoveryKeyBytes);
    if (privateKey === undefined) return false;
    const recoverer = { publicKey: publicKeyOf(privateKey), privateKey };
    const made = await putFile(publicFile, recoverer.publicKey);
    await checkRecoverer(directory, recoverer, recoveryKeyFile);
    wipe(privateKey);
    return made;
  });
}

/** Makes the recoverer's private key unless there is one: a crash may have come between it and its public half. */
async function ensureRecoveryKey(file: string): Promise<void> {
  const { privateKey } = newKeyPair();
  await putFile(file, privateKey);
  wipe(privateKey);
}

async function existingVault(url: string): Promise<string> {
  const directory = directoryOf(url);
  await checkFileVault(directory);
  return directory;
}

function directoryOf(url: string): string {
  if (!url.startsWith('file:')) throw new PipelineError('CONFIG_INVALID', 'VAULT_URL must be file:DIRECTORY');
  return url.startsWith('file://') ? fileURLToPath(url) : resolve(url.slice('file:'.length));
}

async function checkRecoverer(directory: string, recoverer: KeyPair, keyFile: string): Promise<void> {
  const known = await guarded(() => readSecret(join(directory, recovererPublicFile), publicKeyBytes));
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
