import { createHash } from 'node:crypto';
import { createZstdDecompress } from 'node:zlib';
import { buffer } from 'node:stream/consumers';
import { archiveFolder, manifestName, parseManifest } from '../../../shared/archive/manifest.ts';
import type { ArchivePlace } from '../../../shared/archive/place.ts';
import type { Day } from '../../../shared/time.ts';

/** Everything that lies in the folder of a day, decompressed, by name. */
export async function archivedContents(place: ArchivePlace, day: Day): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for (const name of await place.list(archiveFolder('user_logins', day))) {
    const source = await place.get(name);
    if (source === undefined) throw new Error(`${name} is gone`);
    const plain = name.endsWith('.zst') ? source.pipe(createZstdDecompress()) : source;
    contents.set(name, (await buffer(plain)).toString());
  }
  return contents;
}

/** The manifest as it lies there, and its sha256. */
export async function archivedManifest(place: ArchivePlace, day: Day) {
  const text = (await archivedContents(place, day)).get(manifestName('user_logins', day));
  if (text === undefined) throw new Error('no manifest');
  const content = Buffer.from(text);
  return {
    manifest: parseManifest(content, 'user_logins', day),
    sha256: createHash('sha256').update(content).digest(),
  };
}
