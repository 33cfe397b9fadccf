import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { filePlace } from '../../../shared/archive/file-place.ts';
import { openArchivePlace } from '../../../shared/archive/open-place.ts';
import { archivePlaceConformance, chunksOf, patternOf, textAt } from './conformance.ts';

let base: string;
let root: string;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'archive-'));
  root = join(base, 'deep', 'archive');
});
afterEach(() => rm(base, { recursive: true }));

archivePlaceConformance('files', async () => {
  const place = await openArchivePlace({ ARCHIVE_URL: `file:${root}` });
  await place.put('x', chunksOf('x'));
  await place.remove('x');
  return {
    place,
    // A volume that is not mounted any more: its mount point is there, its files are not.
    async goAway() {
      await rename(root, `${root}.gone`);
      await mkdir(root);
    },
  };
});

describe('files on disk', () => {
  test('are for their owner alone, whatever the umask', async () => {
    await filePlace(root).put('a/b/c', chunksOf('x'));
    for (const path of ['', 'a', 'a/b']) expect((await stat(join(root, path))).mode & 0o777).toBe(0o700);
    expect((await stat(join(root, 'a/b/c'))).mode & 0o777).toBe(0o600);
  });

  test('show under their name only when whole', async () => {
    const place = filePlace(root);
    async function* looking(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('new, first half');
      expect(await textAt(place, 'a')).toBe('old');
      expect(await place.list('')).toEqual(['a']);
      yield Buffer.from('new, second half');
    }
    await place.put('a', chunksOf('old'));
    await place.put('a', looking());
    expect(await textAt(place, 'a')).toBe('new, first halfnew, second half');
  });

  test('a put leaves nothing beside its file, however it ends; what a kill left is swept in time', async () => {
    const place = filePlace(root);
    await place.put('d/a', chunksOf('x'));
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* patternOf(100_000);
      throw new Error('no more');
    }
    await expect(place.put('d/b', failing())).rejects.toThrow('no more');
    expect(await readdir(join(root, 'd'))).toEqual(['a']);

    const [old, recent] = [join(root, 'd', '.a.00.tmp'), join(root, 'd', '.a.11.tmp')];
    await writeFile(old, 'left by a kill');
    await writeFile(recent, 'under way');
    const twoDaysAgo = Date.now() / 1_000 - 2 * 86_400;
    await utimes(old, twoDaysAgo, twoDaysAgo);
    await place.put('d/a', chunksOf('y'));
    expect((await readdir(join(root, 'd'))).sort()).toEqual(['.a.11.tmp', 'a']);
    expect(await readFile(recent, 'utf8')).toBe('under way');
  });

  test('a directory where a file should be and its like are outages', async () => {
    const place = filePlace(root);
    await place.put('a', chunksOf('x'));
    await expect(place.put('a/b', chunksOf('x'))).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' });
    await mkdir(join(root, 'dir'));
    await expect(place.put('dir', chunksOf('x'))).rejects.toMatchObject({ code: 'ARCHIVE_UNAVAILABLE' });
    expect(await textAt(place, 'a')).toBe('x');
  });
});

describe('a directory', () => {
  test('in which nothing has been archived yet is no archive: is it mounted?', async () => {
    const place = filePlace(root);
    for (const made of [false, true]) {
      if (made) await mkdir(root, { recursive: true });
      for (const call of [() => place.get('a'), () => place.list(''), () => place.remove('a')]) {
        await expect(call()).rejects.toMatchObject({
          code: 'ARCHIVE_UNAVAILABLE',
          message: expect.stringContaining('not mounted'),
        });
      }
    }
    await place.put('a', chunksOf('x'));
    expect(await textAt(place, 'a')).toBe('x');
  });

  test("that is another user's is refused", async () => {
    const place = filePlace(root);
    await place.put('a', chunksOf('x'));
    await using _ = await lockedOut();
    await expect(place.get('a')).rejects.toMatchObject({ code: 'ARCHIVE_FORBIDDEN' });
    await expect(place.put('a', chunksOf('y'))).rejects.toMatchObject({ code: 'ARCHIVE_FORBIDDEN' });
  });

  test.for(['file:relative/x', 'file:///srv/x', 'file:/srv/x'])('%s is a place', async (url) => {
    expect((await openArchivePlace({ ARCHIVE_URL: url })).url).toMatch(/^file:\/.*x$/);
  });

  test('a URL nobody serves is refused', async () => {
    await expect(openArchivePlace({ ARCHIVE_URL: 'gs://x' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

/** Until disposed of, `root` is closed to this process: also when it is root, whom no mode keeps out. */
async function lockedOut(): Promise<AsyncDisposable> {
  await chmod(root, 0o000);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  return {
    async [Symbol.asyncDispose]() {
      if (isRoot) process.seteuid?.(0);
      await chmod(root, 0o700);
    },
  };
}
