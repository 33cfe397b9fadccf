import type { ArchivedDay } from '../../db/archive/archive-day.ts';
import { archiveDays, lastDayOlderThan, type StuckDay } from '../../db/archive/archive-days.ts';
import { openDatabase } from '../../db/client.ts';
import { openArchivePlace } from '../../shared/archive/open-place.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import type { Clock } from '../../shared/time.ts';
import { openKeyMover } from '../../shared/vault/open-vault.ts';
import type { MaintenanceConfig } from './config.ts';

/** A day of many millions of rows is written, read back and compared. */
const statementTimeoutMs = 1_800_000;

export interface ArchivedDays {
  readonly archived: readonly ArchivedDay[];
  /** Days that a person must look at: the others do not wait for them. */
  readonly stuck: readonly StuckDay[];
}

/**
 * Archives what is older than ARCHIVE_AFTER_DAYS, and finishes what was begun; nothing, unless that is set.
 * @throws PipelineError of database, vault and archive; days that were done stay done.
 */
export async function archiveOldDays(config: MaintenanceConfig, clock: Clock): Promise<ArchivedDays> {
  const archived: ArchivedDay[] = [];
  const stuck: StuckDay[] = [];
  const { ARCHIVE_AFTER_DAYS: days, ARCHIVE_URL } = config;
  if (days === undefined || ARCHIVE_URL === undefined) return { archived, stuck };
  const last = lastDayOlderThan(days, config.RAW_TOPIC_RETENTION_DAYS, clock);
  await using database = openDatabase(config.ADMIN_DATABASE_URL, {
    applicationName: 'sluice-maintain',
    max: 1,
    statementTimeoutMs,
  });
  const parts = {
    database,
    stream: userLogins,
    place: await openArchivePlace({ ...config, ARCHIVE_URL }),
    mover: await openKeyMover(config),
  };
  for await (const day of archiveDays(parts, last)) {
    if ('stuck' in day) stuck.push(day);
    else archived.push(day);
  }
  return { archived, stuck };
}
