import { PipelineError } from '../../shared/errors.ts';
import type { Day } from '../../shared/time.ts';
import type { PinnedConnection } from '../client.ts';
import { partitionName } from '../partition-name.ts';
import { beginArchive, stepArchive } from '../queries/change-archive.ts';
import { describeDay } from '../queries/describe-day.ts';
import { dropTable } from '../queries/drop-table.ts';
import { findArchive, type FoundArchive } from '../queries/find-archive.ts';
import { listAsideTables } from '../queries/list-aside-tables.ts';
import { verifiedDayCopy, writeDay, type DayCopy } from './day-copy.ts';
import { detachDay, placeOfDay } from './detach-day.ts';
import type { ArchiveParts } from './parts.ts';

export interface ArchivedDay {
  readonly day: Day;
  readonly rows: number;
  /** As stored, compressed. */
  readonly bytes: number;
  /** Of the CSV of its rows and data keys; 0 when it lay there already. */
  readonly plainBytes: number;
  /** How long this run took for it. */
  readonly seconds: number;
  readonly location: string;
  /** It lay there already. */
  readonly already: boolean;
}

/**
 * Takes a day out of its table into the archive. The steps, each recorded once it is done, and each safe to do again, so that a run that was
 * cut off anywhere is finished by the next:
 *
 * 1. `detaching`: the partition becomes a table of its own; 2. `writing`: that is written to the place, with its data keys and a manifest,
 * and read back; 3. `moving_key`: the day's private keys move to the vault's archive path; 4. `dropping`: the table is dropped;
 * 5. `archived`.
 *
 * **Nothing is dropped before all of it has been read back from the place.** The caller holds the custody lock.
 *
 * @throws PipelineError of the database, the place and the vault: what was done stays done. ARCHIVE_CONFLICT for a day that has no
 * partition, was begun at another place, or has rows and no private key though nobody shredded it. BACKFILL_OPEN while a backfill has tables of it.
 */
export async function archiveDay<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  day: Day,
): Promise<ArchivedDay> {
  const began = performance.now();
  const { stream, place } = parts;
  const table = stream.name;
  const partition = partitionName(table, day);
  const before = await find(connection, table, day);
  if (before?.state === 'archived') {
    const [rows, bytes] = [Number(before.rows ?? 0), Number(before.bytes ?? 0)];
    return { day, rows, bytes, plainBytes: 0, seconds: 0, location: before.location, already: true };
  }
  if (before?.state === 'restoring') {
    throw new PipelineError('ARCHIVE_CONFLICT', `${day} is being restored: finish that first`);
  }
  if (before === undefined || before.state === 'restored') {
    const where = await placeOfDay(connection, table, partition);
    if (where !== 'attached')
      throw new PipelineError('ARCHIVE_CONFLICT', `${table} has no partition of ${day}`);
    // Rows of the day would stay behind, and there would be no day to go back to.
    const { rows: asides } = await connection.execute(listAsideTables(table, day));
    if (asides[0] !== undefined) throw new PipelineError('BACKFILL_OPEN', `${asides[0].name} is there`);
    await connection.execute(beginArchive(table, day, place.url));
  } else if (before.location !== place.url) {
    throw new PipelineError(
      'ARCHIVE_CONFLICT',
      `${day} was begun at ${before.location}: set ARCHIVE_URL to it`,
    );
  }
  /** Once this run has read it back from the place. */
  let copy: DayCopy | undefined;
  for (;;) {
    const now = await find(connection, table, day);
    if (now === undefined) throw new PipelineError('ARCHIVE_CONFLICT', `the entry of ${day} has gone`);
    if (now.state === 'detaching') {
      await detachDay(connection, table, partition);
      await connection.execute(stepArchive(table, day, 'writing'));
    } else if ((await placeOfDay(connection, table, partition)) === 'attached') {
      throw new PipelineError(
        'ARCHIVE_CONFLICT',
        `${partition} was attached by hand: run "sluice restore" first`,
      );
    } else if (now.state === 'writing') {
      copy = await writeDay(connection, place, { stream, partition, day, detachedAt: now.began_at });
      const { manifestSha256, bytes, manifest } = copy;
      const rows = manifest.objects.rows.rows;
      await connection.execute(stepArchive(table, day, 'moving_key', { manifestSha256, bytes, rows }));
    } else if (now.state === 'moving_key') {
      await moveKeys(parts, connection, day, Number(now.rows ?? 0));
      await connection.execute(stepArchive(table, day, 'dropping'));
    } else if (now.state === 'dropping') {
      // A run that was cut off, perhaps long ago, has written it: what is about to be dropped must still lie there.
      copy ??= await verifiedDayCopy(place, table, day, now.manifest_sha256 ?? undefined);
      await connection.execute(dropTable(partition));
      await connection.execute(stepArchive(table, day, 'archived', { archived: true }));
      return { day, ...sizesOf(copy), seconds: secondsSince(began), location: place.url, already: false };
    } else {
      throw new PipelineError('ARCHIVE_CONFLICT', `${day} became ${now.state} meanwhile`);
    }
  }
}

/** Keys that were shredded are nowhere; a day that nothing was written to may never have had one. */
async function moveKeys<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  day: Day,
  rows: number,
): Promise<void> {
  const moved = await parts.mover.moveDayKeys(day, 'archive');
  if (moved > 0 || rows === 0) return;
  const { rows: found } = await connection.execute(describeDay(day));
  if (found[0]?.destroyed === true) return;
  throw new PipelineError(
    'ARCHIVE_CONFLICT',
    `the vault has no private key of ${day}, which was not shredded`,
  );
}

async function find(
  connection: PinnedConnection,
  table: string,
  day: Day,
): Promise<FoundArchive | undefined> {
  const { rows } = await connection.execute(findArchive(table, day));
  return rows[0];
}

function sizesOf({ manifest, bytes }: DayCopy): Pick<ArchivedDay, 'rows' | 'bytes' | 'plainBytes'> {
  const { rows, dataKeys } = manifest.objects;
  return { rows: rows.rows, bytes, plainBytes: rows.plainBytes + dataKeys.plainBytes };
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1_000;
}
