import { createHash } from 'node:crypto';
import { readObject, verifyObject, writeObject } from '../../shared/archive/archived-object.ts';
import {
  archiveFolder,
  encodeManifest,
  freshName,
  manifestName,
  parseManifest,
  type Manifest,
} from '../../shared/archive/manifest.ts';
import type { ArchivePlace } from '../../shared/archive/place.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import { fingerprintOf } from '../../shared/vault/keys.ts';
import type { PinnedConnection } from '../client.ts';
import { copyDataKeysOut, copyRowsOut, copySettings, listColumns, type Column } from '../queries/copy-day.ts';
import { hasArchives } from '../queries/has-archives.ts';
import { countRows, describeDay, listTokenEpochsOf } from '../queries/describe-day.ts';

/** A manifest is a few kilobytes; more is not one. */
const maxManifestBytes = 1_048_576;

/** A day as it lies in a place. */
export interface DayCopy {
  readonly manifest: Manifest;
  readonly manifestSha256: Buffer;
  /** Of its objects, as stored. */
  readonly bytes: number;
}

/**
 * Writes a day's own table to the place, with its data keys, then the manifest, and reads all of it back. What the place held of
 * the day before stays whole until the manifest names the new; then it is removed.
 *
 * Why reading back is proof enough: the CSV is hashed as Postgres sends it, rows are counted in it and, apart from it, in the table, which
 * nobody writes to any more; and what is read back must decompress to that hash and that number of rows.
 *
 * @throws PipelineError of the database and the place; ARCHIVE_DAMAGED when it does not read back.
 */
export async function writeDay<M>(
  connection: PinnedConnection,
  place: ArchivePlace,
  what: {
    readonly stream: Stream<M>;
    readonly partition: string;
    readonly day: Day;
    readonly detachedAt: string;
  },
): Promise<DayCopy> {
  const { stream, partition, day } = what;
  const folder = archiveFolder(stream.name, day);
  const before = await formerCopy(connection, place, stream.name, day);
  const manifest = await inCopyTransaction(connection, async (): Promise<Manifest> => {
    const columns = await columnsOf(connection, partition);
    const names = columns.map(({ name }) => name);
    const { rows: found } = await connection.execute(describeDay(day));
    const { rows: epochs } = await connection.execute(listTokenEpochsOf(stream, partition));
    const publicKey = found[0]?.public_key ?? null;
    const rows = await writeObject(
      place,
      folder,
      freshName('rows', before?.manifest),
      connection.copyTo(copyRowsOut(partition, names)),
    );
    const dataKeys = await writeObject(
      place,
      folder,
      freshName('data-keys', before?.manifest),
      connection.copyTo(copyDataKeysOut(day)),
    );
    const { rows: counted } = await connection.execute(countRows(partition));
    if (Number(counted[0]?.rows) !== rows.rows) {
      throw new PipelineError('ARCHIVE_CONFLICT', `${partition} has other rows than were written`);
    }
    return {
      format: 1,
      table: stream.name,
      day,
      createdAt: what.detachedAt,
      schema: found[0]?.schema ?? '',
      columns: columns.map(({ name, type }) => ({ name, type })),
      publicKey:
        publicKey === null
          ? null
          : { base64: publicKey.toString('base64'), fingerprint: fingerprintOf(publicKey) },
      tokenEpochs: epochs.map(({ epoch }) => epoch),
      objects: { rows, dataKeys },
    };
  });
  await place.put(manifestName(stream.name, day), once(encodeManifest(manifest)));
  const copy = await verifiedDayCopy(place, stream.name, day, sha256(encodeManifest(manifest)));
  await removeUnnamed(place, copy.manifest);
  return copy;
}

/**
 * What the place holds of the day from an earlier time; nothing relies on it any more. **A place that has held a day of ours and does not
 * answer is an outage**; one that never has, a new directory, is begun by the first that is put there.
 */
async function formerCopy(
  connection: PinnedConnection,
  place: ArchivePlace,
  table: string,
  day: Day,
): Promise<DayCopy | undefined> {
  try {
    return await readDayCopy(place, table, day);
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    if (error.code === 'ARCHIVE_DAMAGED') return undefined;
    const { rows } = await connection.execute(hasArchives(place.url));
    if (error.code === 'ARCHIVE_UNAVAILABLE' && rows[0]?.there === false) return undefined;
    throw error;
  }
}

/**
 * The day's manifest, its objects read to their end and found to be what it says.
 *
 * @param known the manifest's sha256 as the database has it
 * @throws PipelineError ARCHIVE_DAMAGED, and of the place
 */
export async function verifiedDayCopy(
  place: ArchivePlace,
  table: string,
  day: Day,
  known: Buffer | undefined,
): Promise<DayCopy> {
  const copy = await readDayCopy(place, table, day);
  if (copy === undefined) {
    throw new PipelineError('ARCHIVE_DAMAGED', `${place.url}: there is no manifest of ${day}`);
  }
  if (known !== undefined && !known.equals(copy.manifestSha256)) {
    throw new PipelineError(
      'ARCHIVE_DAMAGED',
      `${place.url}: the manifest of ${day} is not the one that the database knows`,
    );
  }
  const folder = archiveFolder(table, day);
  for (const object of Object.values(copy.manifest.objects)) await verifyObject(place, folder, object);
  return copy;
}

/** The manifest alone; undefined when there is none. @throws PipelineError ARCHIVE_DAMAGED for one that cannot be read */
export async function readDayCopy(
  place: ArchivePlace,
  table: string,
  day: Day,
): Promise<DayCopy | undefined> {
  const source = await place.get(manifestName(table, day));
  if (source === undefined) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // A stream of bytes; Node does not type its chunks.
    for await (const chunk of source as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxManifestBytes) {
        throw new PipelineError('ARCHIVE_DAMAGED', `${place.url}: the manifest of ${day} is too long`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof PipelineError ? error : new PipelineError('ARCHIVE_UNAVAILABLE', 'manifest.json');
  }
  const content = Buffer.concat(chunks);
  const manifest = parseManifest(content, table, day);
  const { rows, dataKeys } = manifest.objects;
  return { manifest, manifestSha256: sha256(content), bytes: rows.bytes + dataKeys.bytes };
}

/** The CSV of its rows. @throws PipelineError ARCHIVE_DAMAGED, at the latest at its end */
export function archivedRows(place: ArchivePlace, manifest: Manifest): AsyncIterable<Buffer> {
  return readObject(place, archiveFolder(manifest.table, manifest.day), manifest.objects.rows);
}

export function archivedDataKeys(place: ArchivePlace, manifest: Manifest): AsyncIterable<Buffer> {
  return readObject(place, archiveFolder(manifest.table, manifest.day), manifest.objects.dataKeys);
}

/** The sha256, in hex, of a table's CSV with these columns: what an archive of it would have. */
export async function hashRows(
  connection: PinnedConnection,
  partition: string,
  columns: readonly string[],
): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of connection.copyTo(copyRowsOut(partition, columns))) hash.update(chunk);
  return hash.digest('hex');
}

/** A transaction in which the same rows are the same bytes, however long it takes. */
export function inCopyTransaction<T>(connection: PinnedConnection, work: () => Promise<T>): Promise<T> {
  return connection.transaction(async (session) => {
    await session.execute(copySettings);
    return work();
  });
}

export async function columnsOf(connection: PinnedConnection, table: string): Promise<Column[]> {
  const { rows } = await connection.execute(listColumns(table));
  return rows;
}

/** Removes what a manifest no longer names. @throws PipelineError of the place */
export async function removeUnnamed(place: ArchivePlace, manifest: Manifest): Promise<void> {
  const folder = archiveFolder(manifest.table, manifest.day);
  const named = new Set([
    manifestName(manifest.table, manifest.day),
    ...Object.values(manifest.objects).map(({ name }) => folder + name),
  ]);
  for (const name of await place.list(folder)) if (!named.has(name)) await place.remove(name);
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

function sha256(content: Buffer): Buffer {
  return createHash('sha256').update(content).digest();
}
