import type { Manifest } from '../../shared/archive/manifest.ts';
import { PipelineError } from '../../shared/errors.ts';
import { printable } from '../../shared/printable.ts';
import type { Day } from '../../shared/time.ts';
import type { PinnedConnection } from '../client.ts';
import { partitionName } from '../partition-name.ts';
import { adoptArchive, stepArchive } from '../queries/change-archive.ts';
import {
  advanceDataKeyIds,
  copyDataKeysIn,
  copyRowsIn,
  countOtherDataKeys,
  insertStagedDataKeys,
  makeDataKeyStage,
} from '../queries/copy-day.ts';
import { createPartitionTable } from '../queries/create-partition-table.ts';
import { addDayCheck } from '../queries/day-check.ts';
import { countRows, describeDay, restoreDayKey } from '../queries/describe-day.ts';
import { dropTable } from '../queries/drop-table.ts';
import { findArchive, type FoundArchive } from '../queries/find-archive.ts';
import { findShred } from '../queries/find-shred.ts';
import type { PartitionPlace } from '../queries/partition-place.ts';
import { attachDay, dropOwnChecks } from './attach-day.ts';
import {
  archivedDataKeys,
  archivedRows,
  columnsOf,
  hashRows,
  inCopyTransaction,
  readDayCopy,
  verifiedDayCopy,
  type DayCopy,
} from './day-copy.ts';
import { detachDay, placeOfDay } from './detach-day.ts';
import type { ArchiveParts } from './parts.ts';

export interface RestoredDay {
  readonly day: Day;
  readonly rows: number;
  readonly location: string;
  /** Rows whose personal fields were erased on the way in, for users forgotten since: then it is not what was archived. */
  readonly erased: number;
  readonly seconds: number;
  /** It was in its table already. */
  readonly already: boolean;
}

/**
 * Brings a day back from the archive. **Everything is read and checked before anything is changed**, loaded into a table of its own in one
 * transaction, compared byte for byte with what was archived, and attached last; users who were forgotten since are erased in it
 * before anybody can see them. Cut off, it is finished by the next run. What lies in the archive stays there.
 *
 * The caller holds the custody lock. `keepDays`: how long unattended archiving leaves it alone.
 *
 * @throws PipelineError KEY_DESTROYED for a shredded day; ARCHIVE_MISSING when nobody knows of an archive of it; ARCHIVE_DAMAGED;
 * ARCHIVE_CONFLICT when rows or keys here contradict it; and of database, place and vault.
 */
export async function restoreDay<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  day: Day,
  keepDays: number,
): Promise<RestoredDay> {
  const began = performance.now();
  const { stream, place } = parts;
  const table = stream.name;
  const partition = partitionName(table, day);
  await refuseShredded(parts, connection, day);
  const where = await placeOfDay(connection, table, partition);
  const known = await knownArchive(parts, connection, day, where);
  if (known.state === 'restored') {
    await connection.execute(stepArchive(table, day, 'restored', { keepDays }));
    return {
      day,
      rows: Number(known.rows ?? 0),
      location: known.location,
      erased: 0,
      seconds: 0,
      already: true,
    };
  }
  if (known.state !== 'archived' && known.state !== 'restoring' && where !== 'none') {
    return turnBack(parts, connection, day, keepDays);
  }
  if (where !== 'none' && known.state !== 'restoring') {
    throw new PipelineError(
      'ARCHIVE_CONFLICT',
      `${day} is archived, and there is a table ${partition} all the same`,
    );
  }
  if (known.location !== place.url) {
    throw new PipelineError('ARCHIVE_CONFLICT', `${day} lies at ${known.location}: set ARCHIVE_URL to it`);
  }
  const copy = await verifiedDayCopy(place, table, day, known.manifest_sha256 ?? undefined);
  await connection.execute(stepArchive(table, day, 'restoring'));
  await restoreKeys(parts, connection, copy);
  let erased = 0;
  if (where !== 'attached') {
    await load(parts, connection, partition, copy);
    erased = await attachDay(parts, connection, partition, day);
  }
  await dropOwnChecks(connection, partition);
  await connection.execute(stepArchive(table, day, 'restored', { restored: true, keepDays }));
  return {
    day,
    rows: copy.manifest.objects.rows.rows,
    location: place.url,
    erased,
    seconds: secondsSince(began),
    already: false,
  };
}

/** What a run had begun that was cut off before the day was shredded is taken back, for its tokens are to be cleared in one place. */
async function refuseShredded<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  day: Day,
): Promise<void> {
  const { rows } = await connection.execute(findShred(day));
  const [order] = rows;
  if (order === undefined) return;
  const table = parts.stream.name;
  const { rows: found } = await connection.execute(findArchive(table, day));
  if (found[0]?.state === 'restoring') {
    const partition = partitionName(table, day);
    if ((await placeOfDay(connection, table, partition)) === 'attached') {
      await dropOwnChecks(connection, partition);
      await connection.execute(stepArchive(table, day, 'restored'));
    } else {
      await connection.execute(dropTable(partition));
      await connection.execute(stepArchive(table, day, 'archived'));
    }
  }
  const when = order.ordered_at.slice(0, 10);
  throw new PipelineError(
    'KEY_DESTROYED',
    `${day} was shredded on ${when} (ticket ${printable(order.ticket)})`,
  );
}

/**
 * A day that has not got as far as leaving: its table is here, whole, and becomes a partition again. Recorded as `detaching` meanwhile, from
 * where archiving goes on safely wherever the table is.
 */
async function turnBack<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  day: Day,
  keepDays: number,
): Promise<RestoredDay> {
  const began = performance.now();
  const table = parts.stream.name;
  const partition = partitionName(table, day);
  await connection.execute(stepArchive(table, day, 'detaching'));
  await parts.mover.moveDayKeys(day, 'day');
  let erased = 0;
  if ((await placeOfDay(connection, table, partition)) !== 'attached') {
    await detachDay(connection, table, partition);
    erased = await attachDay(parts, connection, partition, day);
  }
  await dropOwnChecks(connection, partition);
  const { rows } = await connection.execute(countRows(partition));
  await connection.execute(stepArchive(table, day, 'restored', { keepDays }));
  return {
    day,
    rows: Number(rows[0]?.rows ?? 0),
    location: parts.place.url,
    erased,
    seconds: secondsSince(began),
    already: false,
  };
}

/** What is known of the day here; a database that was set up anew learns it from the place, if it has no table of that day. */
async function knownArchive<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  day: Day,
  where: PartitionPlace['place'],
): Promise<FoundArchive> {
  const find = async () => (await connection.execute(findArchive(parts.stream.name, day))).rows[0];
  const found = await find();
  if (found !== undefined) return found;
  if (where === 'attached') throw new PipelineError('ARCHIVE_MISSING', `${day} is in its table`);
  if (where !== 'none') {
    throw new PipelineError('ARCHIVE_CONFLICT', `${day} has a table of its own, which nobody recorded`);
  }
  const copy = await readDayCopy(parts.place, parts.stream.name, day);
  if (copy === undefined) throw new PipelineError('ARCHIVE_MISSING', `${day} at ${parts.place.url}`);
  const { manifestSha256, bytes, manifest } = copy;
  const rows = manifest.objects.rows.rows;
  await connection.execute(
    adoptArchive(parts.stream.name, day, { location: parts.place.url, manifestSha256, rows, bytes }),
  );
  const adopted = await find();
  if (adopted === undefined) throw new PipelineError('INTERNAL', 'an archive was not taken over');
  return adopted;
}

/** The keys that its cells need: usually all are here still. The private halves move back in the vault. */
async function restoreKeys<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  { manifest }: DayCopy,
): Promise<void> {
  const { day } = manifest;
  if (manifest.publicKey !== null) {
    const publicKey = Buffer.from(manifest.publicKey.base64, 'base64');
    await connection.execute(restoreDayKey(day, publicKey));
    const { rows } = await connection.execute(describeDay(day));
    if (rows[0]?.public_key?.equals(publicKey) !== true) {
      throw new PipelineError('ARCHIVE_CONFLICT', `${day} has another public key here`);
    }
  }
  if (manifest.objects.dataKeys.rows > 0) {
    await inCopyTransaction(connection, async () => {
      await connection.execute(makeDataKeyStage);
      await connection.copyFrom(copyDataKeysIn, archivedDataKeys(parts.place, manifest));
      const { rowCount } = await connection.execute(insertStagedDataKeys);
      const { rows } = await connection.execute(countOtherDataKeys);
      if (rows[0]?.count !== '0') {
        throw new PipelineError('ARCHIVE_CONFLICT', `data keys of ${day} have ids that are taken here`);
      }
      if (rowCount > 0) await connection.execute(advanceDataKeyIds);
    });
  }
  const moved = await parts.mover.moveDayKeys(day, 'day');
  if (moved === 0 && manifest.objects.rows.rows > 0) {
    throw new PipelineError(
      'ARCHIVE_CONFLICT',
      `the vault has no private key of ${day}, which was not shredded`,
    );
  }
}

async function load<M>(
  parts: ArchiveParts<M>,
  connection: PinnedConnection,
  partition: string,
  { manifest }: DayCopy,
): Promise<void> {
  const names = manifest.columns.map(({ name }) => name);
  await inCopyTransaction(connection, async () => {
    await connection.execute(dropTable(partition));
    await connection.execute(createPartitionTable(parts.stream.name, partition));
    await assertColumns(connection, partition, manifest);
    await connection.copyFrom(copyRowsIn(partition, names), archivedRows(parts.place, manifest));
    if ((await hashRows(connection, partition, names)) !== manifest.objects.rows.plainSha256) {
      throw new PipelineError('ARCHIVE_CONFLICT', `rows of ${manifest.day} did not come back as they went`);
    }
    await connection.execute(addDayCheck(partition, manifest.day));
  });
}

/** Columns that were added since come in empty; one that has gone, or means something else, is for a person. */
async function assertColumns(
  connection: PinnedConnection,
  partition: string,
  manifest: Manifest,
): Promise<void> {
  const here = new Map((await columnsOf(connection, partition)).map(({ name, type }) => [name, type]));
  const other = manifest.columns.filter(({ name, type }) => here.get(name) !== type).map(({ name }) => name);
  if (other.length === 0) return;
  throw new PipelineError('ARCHIVE_CONFLICT', `columns are not what they were: ${other.join(', ')}`);
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1_000;
}
