import { PipelineError, type ErrorCode } from '../../shared/errors.ts';
import { addDays, dayOf, horizon, type Clock, type Day } from '../../shared/time.ts';
import { withCustodyLock } from '../locks.ts';
import { listDaysToArchive } from '../queries/list-days-to-archive.ts';
import { archiveDay, type ArchivedDay } from './archive-day.ts';
import type { ArchiveParts } from './parts.ts';

/**
 * The last day that is older than so many days.
 *
 * Not while a record of it may still become a row, which would be a dead letter for want of a partition: SQS hands over messages of up to 14
 * days, and a writer that is behind reads what the raw topic has kept.
 *
 * @throws PipelineError USAGE for a number that is too low
 */
export function lastDayOlderThan(days: number, rawRetentionDays: number, clock: Clock): Day {
  const least = Math.max(horizon.daysBack, rawRetentionDays) + 1;
  if (days < least) {
    throw new PipelineError(
      'USAGE',
      `days younger than ${least} days may still get rows (RAW_TOPIC_RETENTION_DAYS is ${rawRetentionDays})`,
    );
  }
  return addDays(dayOf(clock()), -days - 1);
}

/** Which days {@link archiveDays} would archive, oldest first. */
export async function daysToArchive<M>(parts: ArchiveParts<M>, last: Day): Promise<Day[]> {
  return parts.database.withSession(async (connection) => {
    const { rows } = await connection.execute(listDaysToArchive(parts.stream.name, last));
    return rows.map(({ day }) => day);
  });
}

/** A day that cannot be archived until a person has looked at it. */
export interface StuckDay {
  readonly day: Day;
  /** ARCHIVE_CONFLICT, ARCHIVE_DAMAGED or BACKFILL_OPEN. */
  readonly stuck: PipelineError;
}

/** What is wrong with one day, as opposed to a server or a right. */
const ofOneDay: ReadonlySet<ErrorCode> = new Set(['ARCHIVE_CONFLICT', 'ARCHIVE_DAMAGED', 'BACKFILL_OPEN']);

/**
 * Archives every day up to `last` that is in its table, and finishes what was begun; one at a time, each under the custody lock, so that
 * a restore or a shredding waits for a day and not for all of them. Yields each as it is done; a day that is stuck does not keep the others.
 *
 * @throws PipelineError of {@link archiveDay} that is not of one day, CUSTODY_BUSY; days that were yielded are archived.
 */
export async function* archiveDays<M>(
  parts: ArchiveParts<M>,
  last: Day,
): AsyncGenerator<ArchivedDay | StuckDay, void, undefined> {
  for (const day of await daysToArchive(parts, last)) {
    yield await archiveOneDay(parts, day).catch((error: unknown): StuckDay => {
      if (error instanceof PipelineError && ofOneDay.has(error.code)) return { day, stuck: error };
      throw error;
    });
  }
}

export function archiveOneDay<M>(parts: ArchiveParts<M>, day: Day): Promise<ArchivedDay> {
  return parts.database.withSession((connection) =>
    withCustodyLock(connection, () => archiveDay(parts, connection, day)),
  );
}
