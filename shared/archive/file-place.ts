import { randomBytes } from 'node:crypto';
import { open, readdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PipelineError } from '../errors.ts';
import { ensureDirectory, syncDirectory, systemCode } from '../vault/durable-file.ts';
import { classifiedStream } from './classified.ts';
import { Measured } from './measure.ts';
import { checkedName, checkedPrefix } from './names.ts';
import type { ArchivePlace, Stored } from './place.ts';

const fileMode = 0o600;
/** Lies in the root of every archive: without it, the directory is a mount point with nothing mounted, or a mistake in ARCHIVE_URL. */
const markName = '.sluice-archive';
const temporarySuffix = '.tmp';
/** A file under way is written to all the time. What nobody has touched for so long was left by a process that was killed. */
const staleMs = 24 * 3_600_000;

/**
 * An archive in a directory, 0700, files 0600. Begun by the first `put`, which makes the directory and marks it. **Absent means absent
 * from an archive that is there**: until then, and whenever the volume is not mounted, every other call throws ARCHIVE_UNAVAILABLE.
 *
 * A file is whole or what it was before: written beside its place, synced, renamed, and the directory synced.
 */
export function filePlace(directory: string): ArchivePlace {
  const root = resolve(directory);
  const fileOf = (name: string) => join(root, checkedName(name));

  async function assertPresent(): Promise<void> {
    if (await exists(join(root, markName))) return;
    throw new PipelineError(
      'ARCHIVE_UNAVAILABLE',
      `${root} holds no archive: nothing has been archived there, or it is not mounted`,
    );
  }

  return {
    url: `file:${root}`,
    async put(name, content) {
      const file = fileOf(name);
      const measured = new Measured(content);
      try {
        await ensureDirectory(dirname(file));
        await mark(root);
        return await replaceFile(file, measured);
      } catch (error) {
        if (measured.failure !== undefined) throw measured.failure.error;
        throw classifyFile(error);
      }
    },
    get: (name) =>
      guarded(async () => {
        const handle = await open(fileOf(name), 'r').catch(undefinedIfAbsent);
        if (handle !== undefined) return classifiedStream(handle.createReadStream(), classifyFile);
        await assertPresent();
        return undefined;
      }),
    list: (prefix) =>
      guarded(async () => {
        const within = checkedPrefix(prefix).slice(0, prefix.lastIndexOf('/') + 1);
        await assertPresent();
        const names = await namesUnder(root, within);
        return names.filter((name) => name.startsWith(prefix)).sort();
      }),
    remove: (name) =>
      guarded(async () => {
        const file = fileOf(name);
        await assertPresent();
        await unlink(file).catch(undefinedIfAbsent);
        await syncDirectory(dirname(file)).catch(undefinedIfAbsent);
      }),
  };
}

async function replaceFile(file: string, measured: Measured): Promise<Stored> {
  await removeStale(file);
  const temporary = join(
    dirname(file),
    `.${basename(file)}.${randomBytes(8).toString('hex')}${temporarySuffix}`,
  );
  const handle = await open(temporary, 'wx', fileMode);
  try {
    try {
      for await (const chunk of measured) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    // Best effort: the first failure is the one to tell, and what stays is swept as stale.
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(file));
  return measured.stored();
}

/** What killed processes left beside `file`. */
async function removeStale(file: string): Promise<void> {
  const directory = dirname(file);
  for (const entry of await readdir(directory)) {
    if (!entry.startsWith('.') || !entry.endsWith(temporarySuffix)) continue;
    const path = join(directory, entry);
    const found = await stat(path).catch(undefinedIfAbsent);
    if (found !== undefined && found.mtimeMs < Date.now() - staleMs) {
      await unlink(path).catch(undefinedIfAbsent);
    }
  }
}

async function mark(root: string): Promise<void> {
  const file = join(root, markName);
  if (await exists(file)) return;
  await writeFile(file, '', { mode: fileMode });
  await syncDirectory(root);
}

/** Names relative to `root` of every file in `within` and below, `within` being `''` or ending in `/`. */
async function namesUnder(root: string, within: string): Promise<string[]> {
  const entries = await readdir(join(root, within), { withFileTypes: true }).catch(undefinedIfAbsent);
  const names: string[] = [];
  for (const entry of entries ?? []) {
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) names.push(...(await namesUnder(root, `${within}${entry.name}/`)));
    else if (entry.isFile()) names.push(within + entry.name);
  }
  return names;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(undefinedIfAbsent)) !== undefined;
}

function undefinedIfAbsent(error: unknown): undefined {
  const code = systemCode(error);
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw classifyFile(error);
  }
}

/** Total. The detail is the system's code: EIO, ENOSPC, EROFS. */
function classifyFile(error: unknown): PipelineError {
  if (error instanceof PipelineError) return error;
  const code = systemCode(error);
  if (code === 'EACCES' || code === 'EPERM') return new PipelineError('ARCHIVE_FORBIDDEN', code);
  return new PipelineError('ARCHIVE_UNAVAILABLE', code);
}
