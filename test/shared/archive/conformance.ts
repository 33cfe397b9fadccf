import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ArchivePlace } from '../../../shared/archive/place.ts';

export interface PlaceUnderTest {
  /** Something has been put there before, and removed. */
  readonly place: ArchivePlace;
  /** Makes the place stop answering, as an outage would. */
  goAway(): Promise<void>;
}

const name = 'user_logins/2026-08-01/rows.csv.zst';
const mebibyte = 1_048_576;

/** Bytes that are the same each time and compress badly. */
export async function* patternOf(bytes: number, chunkBytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes; at += chunkBytes, i++) {
    const seed = createHash('sha512').update(String(i)).digest();
    yield Buffer.alloc(Math.min(chunkBytes, bytes - at), seed);
  }
}

export async function sha256Of(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of content) hash.update(chunk);
  return hash.digest('hex');
}

export async function* chunksOf(...chunks: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

export async function textAt(place: ArchivePlace, at: string): Promise<string | undefined> {
  const content = await place.get(at);
  return content === undefined ? undefined : (await buffer(content)).toString();
}

/** What every place promises. */
export function archivePlaceConformance(title: string, open: () => Promise<PlaceUnderTest>): void {
  describe(`archive place: ${title}`, () => {
    let place: ArchivePlace;
    let under: PlaceUnderTest;
    beforeEach(async () => {
      under = await open();
      place = under.place;
    });

    test('what is not there is undefined, lists as nothing, and is removed without an error', async () => {
      expect(await place.get(name)).toBeUndefined();
      expect(await place.list('')).toEqual([]);
      expect(await place.list('user_logins/')).toEqual([]);
      await place.remove(name);
    });

    test('gives back what was put, and says how much it was', async () => {
      const stored = await place.put(name, chunksOf('one ', '', 'two'));
      expect(stored).toEqual({ bytes: 7, sha256: createHash('sha256').update('one two').digest('hex') });
      expect(await textAt(place, name)).toBe('one two');
    });

    test('nothing at all is content too', async () => {
      expect((await place.put(name, chunksOf())).bytes).toBe(0);
      expect(await textAt(place, name)).toBe('');
      expect(await place.list('')).toEqual([name]);
    });

    test('of several parts: 40 MiB come back as they went in', async () => {
      const bytes = 40 * mebibyte + 1;
      const stored = await place.put(name, patternOf(bytes));
      expect(stored).toEqual({ bytes, sha256: await sha256Of(patternOf(bytes)) });
      const content = await place.get(name);
      expect(content && (await sha256Of(content))).toBe(stored.sha256);
    });

    test('replaces', async () => {
      await place.put(name, chunksOf('a longer first one'));
      await place.put(name, chunksOf('second'));
      expect(await textAt(place, name)).toBe('second');
      expect(await place.list('')).toEqual([name]);
    });

    test.for([0, 40 * mebibyte])(
      'content that fails after %i bytes leaves what was there, and throws its own error',
      async (bytes) => {
        await place.put(name, chunksOf('former'));
        const failure = new Error('the source failed');
        async function* failing(): AsyncGenerator<Uint8Array> {
          yield* patternOf(bytes);
          throw failure;
        }
        await expect(place.put(name, failing())).rejects.toBe(failure);
        expect(await textAt(place, name)).toBe('former');
        await expect(place.put('user_logins/other', failing())).rejects.toBe(failure);
        expect(await place.list('')).toEqual([name]);
      },
    );

    test('lists by how a name begins, sorted, all levels', async () => {
      const names = ['a/2026-08-01/m.json', 'a/2026-08-01/rows', 'a/2026-08-02/rows', 'ab/rows', 'z'];
      for (const one of [...names].reverse()) await place.put(one, chunksOf(one));
      expect(await place.list('')).toEqual(names);
      expect(await place.list('a')).toEqual(names.slice(0, 4));
      expect(await place.list('a/')).toEqual(names.slice(0, 3));
      expect(await place.list('a/2026-08-0')).toEqual(names.slice(0, 3));
      expect(await place.list('a/2026-08-01/r')).toEqual(['a/2026-08-01/rows']);
      expect(await place.list('b')).toEqual([]);
      expect(await place.list('b/c/')).toEqual([]);
    });

    test('removes one and no other, again without an error', async () => {
      for (const one of ['a/1', 'a/10', 'a/2']) await place.put(one, chunksOf(one));
      await place.remove('a/1');
      await place.remove('a/1');
      expect(await place.get('a/1')).toBeUndefined();
      expect(await place.list('')).toEqual(['a/10', 'a/2']);
    });

    test('several at once: other names do not disturb each other, one name holds one of them whole', async () => {
      const contents = Array.from({ length: 6 }, (_, i) => String(i).repeat(100_000));
      await Promise.all(
        contents.flatMap((content, i) => [
          place.put(`own/${i}`, chunksOf(content)),
          place.put('shared', chunksOf(content.slice(0, 50_000), content.slice(50_000))),
        ]),
      );
      for (const [i, content] of contents.entries()) expect(await textAt(place, `own/${i}`)).toBe(content);
      expect(contents).toContain(await textAt(place, 'shared'));
    });

    test('a reader may stop in the middle', async () => {
      await place.put(name, patternOf(4 * mebibyte));
      const content = await place.get(name);
      for await (const chunk of content ?? []) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      expect(content?.destroyed).toBe(true);
      await place.remove(name);
    });

    test.for(['', '/etc/passwd', '../x', 'a/../../x', 'a//b', 'a/', '.hidden', 'a/.b', 'a\0b', 'a b', 'ü'])(
      'a name is a name: %j is refused',
      async (bad) => {
        const refused = { code: 'INTERNAL' };
        await expect(place.put(bad, chunksOf('x'))).rejects.toMatchObject(refused);
        await expect(place.get(bad)).rejects.toMatchObject(refused);
        await expect(place.remove(bad)).rejects.toMatchObject(refused);
      },
    );

    test.for(['/', '../', 'a/../', 'a//', '.', 'a b'])('nor is %j how a name begins', async (bad) => {
      await expect(place.list(bad)).rejects.toMatchObject({ code: 'INTERNAL' });
    });

    test('its address is told without credentials', () => {
      expect(place.url).toMatch(/^(file:\/|s3:\/\/)[^@?]*$/);
    });

    test('a place that does not answer is an outage, never an empty one', async () => {
      await place.put(name, chunksOf('x'));
      await under.goAway();
      const unavailable = { code: 'ARCHIVE_UNAVAILABLE' };
      await expect(place.get(name)).rejects.toMatchObject(unavailable);
      await expect(place.get('other')).rejects.toMatchObject(unavailable);
      await expect(place.list('')).rejects.toMatchObject(unavailable);
      await expect(place.remove(name)).rejects.toMatchObject(unavailable);
    });
  });
}
