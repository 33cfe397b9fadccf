import { readdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { publicKeyBytes, wipe } from '../crypto/sealed-box.ts';
import { PipelineError } from '../errors.ts';
import {
  ensureDirectory,
  overwriteFile,
  putFile,
  readSecret,
  syncDirectory,
  systemCode,
} from './durable-file.ts';
import { partsOf, type SecretKind, type SecretName, type SecretStore } from './secret-store.ts';

/** Longer than any secret of ours. */
const maxSecretBytes = 4_096;
const recovererPublic: SecretName = 'recoverer/public';
const suffixes: Record<SecretKind, string> = {
  recoverer: '.pub',
  day: '.box',
  archive: '.box',
  transit: '.key',
  pepper: '.key',
};

/**
 * A vault in a directory of mode 0700, for one machine and one user of it, hence refused in prod:
 *
 *     recoverer.pub · day/<name>.box · archive/<name>.box · transit/<day>.key · pepper/<epoch>.key
 *
 * Files are whole or absent, and never replaced. What keeps a day's keys from whoever reads the directory is that they are sealed to
 * the recoverer. **Absent means absent from a vault that is there**: a volume that is not mounted has no files either.
 */
export function fileStore(directory: string): SecretStore {
  /** @throws PipelineError VAULT_UNAVAILABLE unless the vault itself is there */
  async function assertPresent(): Promise<void> {
    const key = await readSecret(fileOf(directory, recovererPublic), publicKeyBytes + 1);
    const present = key?.length === publicKeyBytes;
    if (key !== undefined) wipe(key);
    if (!present) throw new PipelineError('VAULT_UNAVAILABLE', 'recoverer.pub');
  }
  return {
    create: (name, value) =>
      guarded(async () => {
        if (name !== recovererPublic) await assertPresent();
        const file = fileOf(directory, name);
        await ensureDirectory(dirname(file));
        return putFile(file, value);
      }),
    read: (name) =>
      guarded(async () => {
        const content = await readSecret(fileOf(directory, name), maxSecretBytes);
        if (content === undefined && name !== recovererPublic) await assertPresent();
        return content;
      }),
    list: (kind) =>
      guarded(async () => {
        await assertPresent();
        const files = await readdir(join(directory, kind)).catch((error: unknown): string[] => {
          if (systemCode(error) === 'ENOENT') return [];
          throw error;
        });
        const suffix = suffixes[kind];
        return files
          .filter((file) => file.endsWith(suffix) && !file.startsWith('.'))
          .map((file): SecretName => `${kind}/${file.slice(0, -suffix.length)}`)
          .sort();
      }),
    destroy: (name) =>
      guarded(async () => {
        await assertPresent();
        const file = fileOf(directory, name);
        try {
          const { size } = await stat(file);
          // Best effort: what a copying file system or a backup keeps, only sealing to the recoverer protects.
          await overwriteFile(file, size);
          await unlink(file);
        } catch (error) {
          if (systemCode(error) !== 'ENOENT') throw error;
        }
        await ensureDirectory(dirname(file));
        await syncDirectory(dirname(file));
      }),
  };
}

/** @throws PipelineError VAULT_NOT_FOUND, VAULT_FORBIDDEN, VAULT_UNAVAILABLE */
export async function checkFileVault(directory: string): Promise<void> {
  await checkPrivateDirectory(directory);
  await guarded(async () => {
    const key = await readSecret(fileOf(directory, recovererPublic), publicKeyBytes);
    if (key === undefined) throw new PipelineError('VAULT_NOT_FOUND', `no recoverer.pub in ${directory}`);
    wipe(key);
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

/** `recoverer/public` → `recoverer.pub`; `day/x` → `day/x.box`. Nothing that could leave the directory is a name. */
function fileOf(directory: string, name: SecretName): string {
  if (name === recovererPublic) return join(directory, 'recoverer.pub');
  const { kind, rest } = partsOf(name);
  return join(directory, kind, `${rest}${suffixes[kind]}`);
}
