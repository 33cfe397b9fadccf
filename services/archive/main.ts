import type { ArchivedDay } from '../../db/archive/archive-day.ts';
import {
  archiveDays,
  archiveOneDay,
  daysToArchive,
  lastDayOlderThan,
  type StuckDay,
} from '../../db/archive/archive-days.ts';
import type { ArchiveParts } from '../../db/archive/parts.ts';
import { restoreDay } from '../../db/archive/restore-day.ts';
import { openDatabase, type Database } from '../../db/client.ts';
import { withCustodyLock } from '../../db/locks.ts';
import { openArchivePlace } from '../../shared/archive/open-place.ts';
import { PipelineError } from '../../shared/errors.ts';
import { writeText } from '../../shared/output.ts';
import { userLogins, type UserLogin } from '../../shared/streams/user-logins.ts';
import { parseDay } from '../../shared/time.ts';
import { openKeyMover } from '../../shared/vault/open-vault.ts';
import { archiveConfig, type ArchiveConfig } from './config.ts';

/** A day of many millions of rows is written, read back and compared; statements that must not wait set their own limits. */
const statementTimeoutMs = 1_800_000;

export interface ArchiveOptions {
  readonly olderThan: string;
  readonly day?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/**
 * `sluice archive`: a line, or a JSON object, for each day as it is done. Exit code 1 when a day is stuck; the others are archived all the same.
 * @throws PipelineError
 */
export async function archive(options: ArchiveOptions): Promise<number> {
  const config = archiveConfig(process.env);
  const days = wholeDays('--older-than', options.olderThan);
  const last = lastDayOlderThan(days, config.RAW_TOPIC_RETENTION_DAYS, Date.now);
  const only = options.day === undefined ? undefined : dayOption(options.day);
  if (only !== undefined && only > last)
    throw new PipelineError('USAGE', `${only} is not older than ${days} days`);
  await using database = open(config);
  const parts = await partsOf(config, database);
  if (options.dryRun === true) {
    const all = await daysToArchive(parts, last);
    const due = only === undefined ? all : all.filter((day) => day === only);
    if (options.json === true) await say(JSON.stringify({ due }));
    else await say(due.length === 0 ? 'nothing to archive' : `would archive ${due.join(', ')}`);
    return 0;
  }
  if (only !== undefined) {
    await report(await archiveOneDay(parts, only), options.json === true);
    return 0;
  }
  let [done, stuck] = [0, 0];
  for await (const day of archiveDays(parts, last)) {
    done += 1;
    if ('stuck' in day) stuck += 1;
    await report(day, options.json === true);
  }
  if (done === 0 && options.json !== true) await say('nothing to archive');
  return stuck === 0 ? 0 : 1;
}

async function report(day: ArchivedDay | StuckDay, json: boolean): Promise<void> {
  if ('stuck' in day) {
    const { code, message: reason } = day.stuck;
    if (json) await say(JSON.stringify({ day: day.day, code, reason }));
    else process.stderr.write(`sluice: ${day.day} is not archived: ${reason} [${code}]\n`);
  } else await say(json ? JSON.stringify(day) : describe(day));
}

export interface RestoreOptions {
  readonly day: string;
  readonly keep: string;
  readonly json?: boolean;
}

/** `sluice restore`. @throws PipelineError */
export async function restore(options: RestoreOptions): Promise<number> {
  const config = archiveConfig(process.env);
  const day = dayOption(options.day);
  const keepDays = wholeDays('--keep', options.keep);
  await using database = open(config);
  const parts = await partsOf(config, database);
  const restored = await database.withSession((connection) =>
    withCustodyLock(connection, () => restoreDay(parts, connection, day, keepDays)),
  );
  if (options.json === true) {
    await say(JSON.stringify(restored));
    return 0;
  }
  if (restored.already) await say(`${day} is in its table already`);
  else {
    const rows = restored.rows.toLocaleString('en-US');
    const seconds = Math.round(restored.seconds);
    await say(
      `restored ${day}: ${rows} rows from ${restored.location} in ${seconds} s, kept for ${keepDays} days`,
    );
    if (restored.erased > 0) {
      await say(`erased the personal fields of ${restored.erased} rows, of users forgotten since`);
    }
  }
  return 0;
}

function open(config: ArchiveConfig): Database {
  return openDatabase(config.ADMIN_DATABASE_URL, {
    applicationName: 'sluice-archive',
    max: 1,
    statementTimeoutMs,
  });
}

async function partsOf(config: ArchiveConfig, database: Database): Promise<ArchiveParts<UserLogin>> {
  return {
    database,
    stream: userLogins,
    place: await openArchivePlace(config),
    mover: await openKeyMover(config),
  };
}

function describe({ day, rows, bytes, plainBytes, seconds, location, already }: ArchivedDay): string {
  if (already) return `${day} lies at ${location} already`;
  const counted = `${rows.toLocaleString('en-US')} rows, ${mib(bytes)} MiB`;
  const ratio = rows === 0 ? '' : ` (${Math.round((100 * bytes) / plainBytes)} % of ${mib(plainBytes)} MiB)`;
  return `archived ${day}: ${counted}${ratio} at ${location}, in ${Math.round(seconds)} s`;
}

function mib(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}

/** `90d` → 90. */
function wholeDays(name: string, text: string): number {
  const days = /^(\d{1,5})d$/.exec(text)?.[1];
  if (days === undefined) throw new PipelineError('USAGE', `${name} takes days, such as 90d`);
  return Number(days);
}

function dayOption(text: string): string {
  const day = parseDay(text);
  if (day === undefined) throw new PipelineError('USAGE', '--day is not a date such as 2026-11-24');
  return day;
}

function say(line: string): Promise<void> {
  return writeText(process.stdout, `${line}\n`);
}
