import { archivedRows, readDayCopy, removeUnnamed, type DayCopy } from '../../db/archive/day-copy.ts';
import { writeObject } from '../../shared/archive/archived-object.ts';
import { ColumnBlanker } from '../../shared/archive/blank-columns.ts';
import {
  archiveFolder,
  encodeManifest,
  freshName,
  manifestName,
  type Manifest,
} from '../../shared/archive/manifest.ts';
import type { ArchivePlace } from '../../shared/archive/place.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Day } from '../../shared/time.ts';

export interface ClearedCopy extends DayCopy {
  /** Cells that this call emptied. */
  readonly cleared: number;
  /** Cells that hold a token still, as read back: none. */
  readonly left: number;
}

/**
 * Takes the tokens out of an archived day: its rows are written anew beside the old ones, then the manifest that names them, then what it no
 * longer names is removed. **At every moment the manifest in place names whole objects**; cut off, it goes on when called again. Streams.
 *
 * `known`: the manifest's sha256 as the database has it, undefined when it has none.
 *
 * @throws PipelineError ARCHIVE_DAMAGED when what lies there is not what the manifest, or the manifest not what the database says; and
 * of the place.
 */
export async function clearArchivedCopy(
  place: ArchivePlace,
  day: { readonly table: string; readonly day: Day; readonly tokenColumns: readonly string[] },
  known: Buffer | undefined,
): Promise<ClearedCopy> {
  const before = await read(place, day.table, day.day);
  const found = await countTokens(place, before.manifest, day.tokenColumns);
  // A copy without tokens may be the one that an earlier call wrote and had no time to note down.
  if (known !== undefined && !known.equals(before.manifestSha256) && found > 0) {
    throw new PipelineError(
      'ARCHIVE_DAMAGED',
      `${place.url}: the manifest of ${day.day} is not the one that the database knows`,
    );
  }
  if (found > 0) await rewrite(place, before.manifest, day.tokenColumns);
  const after = found > 0 ? await read(place, day.table, day.day) : before;
  await removeUnnamed(place, after.manifest);
  const left = found > 0 ? await countTokens(place, after.manifest, day.tokenColumns) : 0;
  return { ...after, cleared: found, left };
}

async function read(place: ArchivePlace, table: string, day: Day): Promise<DayCopy> {
  const copy = await readDayCopy(place, table, day);
  if (copy !== undefined) return copy;
  throw new PipelineError('ARCHIVE_DAMAGED', `${place.url}: there is no manifest of ${day}`);
}

async function rewrite(place: ArchivePlace, manifest: Manifest, columns: readonly string[]): Promise<void> {
  const blanker = new ColumnBlanker(columns);
  async function* blanked() {
    for await (const chunk of archivedRows(place, manifest)) yield blanker.push(chunk);
  }
  const { table, day } = manifest;
  const rows = await writeObject(place, archiveFolder(table, day), freshName('rows', manifest), blanked());
  const cleared = { ...manifest, tokenEpochs: [], objects: { ...manifest.objects, rows } };
  await place.put(manifestName(table, day), once(encodeManifest(cleared)));
}

async function countTokens(
  place: ArchivePlace,
  manifest: Manifest,
  columns: readonly string[],
): Promise<number> {
  const blanker = new ColumnBlanker(columns);
  for await (const chunk of archivedRows(place, manifest)) blanker.push(chunk);
  if (!blanker.started) throw new PipelineError('ARCHIVE_DAMAGED', 'the rows in the archive have no header');
  return blanker.found;
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
