import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  openSealed,
  publicKeyBytes,
  publicKeyOf,
  randomKey,
  sealToPublicKey,
  wipe,
  type KeyPair,
} from '../crypto/sealed-box.ts';
import { PipelineError } from '../errors.ts';
import type { Day } from '../time.ts';
import { putFile, readSecret, systemCode } from './durable-file.ts';
import type { DayPrivateKeys, KeyKeeper, Peppers, TransitKeys } from './ports.ts';

/**
 * A vault in a directory of mode 0700, for one machine:
 *
 *     recoverer.pub                    X25519 public key of the recoverer, whose private key lies elsewhere
 *     day/<day>.<public key>.box       the day's private key, sealed to the recoverer (crypto_box_seal)
 *     transit/<day>.key                32 bytes
 *     pepper/<epoch>.key               32 bytes
 *
 * `<public key>` is 16 hex digits of its hash. The keeper seals what it cannot open again, and no key that the writer or the
 * connector can reach opens a day. Files are whole or absent, and never overwritten.
 */
export const recovererPublicFile = 'recoverer.pub';
const keyBytes = 32;
/** crypto_box_seal adds 48 bytes to the 32 of the key. One byte more is asked for, so that a longer file shows. */
const boxBytes = 80;

/** @throws PipelineError VAULT_UNAVAILABLE from every call, when the directory does not answer or has gone away */
export function fileKeyKeeper(directory: string): KeyKeeper {
  return {
    putDayPrivateKey: (day, publicKey, privateKey) =>
      guarded(async () => {
        const recoverer = await recovererPublicKey(directory);
        await putFile(dayFile(directory, day, publicKey), sealToPublicKey(privateKey, recoverer));
      }),
    ensureTransitKey: (day) => guarded(() => putNewKey(transitFile(directory, day))),
    ensurePepper: () =>
      guarded(async () => {
        const epochs = await pepperEpochs(directory);
        if (epochs.length === 0) await putNewKey(pepperFile(directory, 1));
      }),
  };
}

export function fileTransitKeys(directory: string): TransitKeys {
  return { transitKey: (day) => guarded(() => readKey(directory, transitFile(directory, day))) };
}

export function filePeppers(directory: string): Peppers {
  return {
    pepper: () =>
      guarded(async () => {
        const epoch = Math.max(0, ...(await pepperEpochs(directory)));
        if (epoch === 0) return undefined;
        const key = await readKey(directory, pepperFile(directory, epoch));
        return key === undefined ? undefined : { epoch, key };
      }),
  };
}

/** `recoverer`: the keypair whose public half is the vault's recoverer.pub. */
export function fileDayPrivateKeys(directory: string, recoverer: KeyPair): DayPrivateKeys {
  return {
    dayPrivateKey: (day, publicKey) =>
      guarded(async () => {
        const box = await readWhole(directory, dayFile(directory, day, publicKey), boxBytes);
        if (box === undefined) return undefined;
        const privateKey = openSealed(box, recoverer);
        if (privateKey === undefined || !publicKeyOf(privateKey).equals(publicKey)) {
          throw new PipelineError('VAULT_FORBIDDEN', `this recovery key does not open the key of ${day}`);
        }
        return privateKey;
      }),
  };
}

/** @throws PipelineError VAULT_NOT_FOUND, VAULT_FORBIDDEN, VAULT_UNAVAILABLE */
export async function checkFileVault(directory: string): Promise<void> {
  await checkPrivateDirectory(directory);
  await guarded(async () => {
    const key = await readSecret(join(directory, recovererPublicFile), publicKeyBytes);
    if (key === undefined)
      throw new PipelineError('VAULT_NOT_FOUND', `no ${recovererPublicFile} in ${directory}`);
  });
}

/** @throws PipelineError VAULT_NOT_FOUND, VAULT_FORBIDDEN when others than its owner can look into it, VAULT_UNAVAILABLE */
export async function checkPrivateDirectory(directory: string): Promise<void> {
  await guarded(async () => {
    const found = await stat(directory).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') throw new PipelineError('VAULT_NOT_FOUND', `no ${directory}`);
      throw error;
    });
    if (!found.isDirectory()) throw new PipelineError('VAULT_NOT_FOUND', `${directory} is not a directory`);
    if ((found.mode & 0o077) !== 0) {
      throw new PipelineError('VAULT_FORBIDDEN', `others can look into ${directory}: chmod 700 ${directory}`);
    }
  });
}

/** Passes a PipelineError on; any other failure is a vault that does not answer. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    const code = systemCode(error);
    if (code === 'EACCES' || code === 'EPERM') throw new PipelineError('VAULT_FORBIDDEN', code);
    throw new PipelineError('VAULT_UNAVAILABLE', code);
  }
}

async function recovererPublicKey(directory: string): Promise<Buffer> {
  const key = await readSecret(join(directory, recovererPublicFile), publicKeyBytes + 1);
  if (key?.length !== publicKeyBytes) throw new PipelineError('VAULT_UNAVAILABLE', recovererPublicFile);
  return key;
}

async function putNewKey(path: string): Promise<void> {
  const key = randomKey();
  await putFile(path, key);
  wipe(key);
}

function readKey(directory: string, path: string): Promise<Buffer | undefined> {
  return readWhole(directory, path, keyBytes);
}

/**
 * A key file of exactly `bytes`, or undefined. **Absent means absent from a vault that is there**: an unmounted volume has no
 * files either, and must not pass for a destroyed key.
 */
async function readWhole(directory: string, path: string, bytes: number): Promise<Buffer | undefined> {
  const content = await readSecret(path, bytes + 1);
  if (content?.length === bytes) return content;
  if (content !== undefined) throw new PipelineError('VAULT_UNAVAILABLE', 'a key file has the wrong length');
  await recovererPublicKey(directory);
  return undefined;
}

async function pepperEpochs(directory: string): Promise<number[]> {
  const files = await readdir(join(directory, 'pepper'));
  return files.flatMap((file) => {
    const epoch = /^([1-9]\d{0,8})\.key$/.exec(file)?.[1];
    return epoch === undefined ? [] : [Number(epoch)];
  });
}

function dayFile(directory: string, day: Day, publicKey: Buffer): string {
  const id = createHash('blake2b512').update(publicKey).digest('hex').slice(0, 16);
  return join(directory, 'day', `${checked(day)}.${id}.box`);
}

function transitFile(directory: string, day: Day): string {
  return join(directory, 'transit', `${checked(day)}.key`);
}

function pepperFile(directory: string, epoch: number): string {
  return join(directory, 'pepper', `${epoch}.key`);
}

/** A day becomes a file name: nothing else may. */
function checked(day: Day): Day {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) throw new PipelineError('INTERNAL', 'not a day');
  return day;
}
