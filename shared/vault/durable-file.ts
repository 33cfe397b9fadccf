import { randomBytes } from 'node:crypto';
import { access, link, mkdir, open, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { secureBuffer, wipe } from '../crypto/sealed-box.ts';

/** Only its owner may read a key, or even see which there are. */
const fileMode = 0o600;
const directoryMode = 0o700;

/**
 * Puts a whole file there unless there is one: written to another name, synced, then linked, so that no reader sees part of it
 * and nothing is ever overwritten. Durable when it resolves. Returns false when there was one already (durable too: whoever
 * made it may not have got as far as syncing the directory).
 */
export async function putFile(path: string, content: Buffer): Promise<boolean> {
  const directory = dirname(path);
  if (await exists(path)) {
    await syncDirectory(directory);
    return false;
  }
  const temporary = join(directory, `.tmp-${randomBytes(8).toString('hex')}`);
  const file = await open(temporary, 'wx', fileMode);
  let made = true;
  try {
    await file.writeFile(content);
    await file.sync();
    await link(temporary, path).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error;
      made = false;
    });
  } finally {
    await file.close();
    await unlink(temporary);
  }
  await syncDirectory(directory);
  return made;
}

/** Reads at most `maxBytes` into locked memory; undefined when there is no such file. */
export async function readSecret(path: string, maxBytes: number): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const secret = secureBuffer(maxBytes);
    let length = 0;
    while (length < maxBytes) {
      const { bytesRead } = await file.read(secret, length, maxBytes - length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    // Exactly as long as it is, so that who is done with it can give the memory back.
    const exact = length === 0 ? Buffer.alloc(0) : secureBuffer(length);
    secret.copy(exact, 0, 0, length);
    wipe(secret);
    return exact;
  } finally {
    await file.close();
  }
}

/** Overwrites a file's bytes in place with zeros, synced: before it is unlinked. */
export async function overwriteFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.alloc(bytes), 0, bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a directory for its owner alone, with its parents, unless it exists; durable when it resolves. */
export async function ensureDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: directoryMode });
  if (first === undefined) return;
  const top = dirname(resolve(first));
  for (let made = resolve(path); made !== top && made !== dirname(made); made = dirname(made)) {
    await syncDirectory(dirname(made));
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** `ENOENT` and its like, or undefined for an error that is not the system's. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
