import type { Writable } from 'node:stream';
import { openDatabase, type Database, type PinnedConnection } from '../../db/client.ts';
import { withSwapLock } from '../../db/locks.ts';
import { findShadow, type Shadow, type ShadowDay } from '../../db/shadow/find-shadow.ts';
import { environmentSlice, parseConfig, postgresUrl, type Env } from '../../shared/config.ts';
import { PipelineError } from '../../shared/errors.ts';
import { writeText } from '../../shared/output.ts';
import { printableJson } from '../../shared/printable.ts';
import { parseDay, type Day } from '../../shared/time.ts';

/** What the commands of shadows need of the process. */
export interface ShadowPort {
  readonly env: Env;
  readonly stdout: Pick<Writable, 'write' | 'once' | 'off'>;
}

/** Days of millions of rows are read whole; statements that somebody waits behind set limits of their own. */
const statementTimeoutMs = 1_800_000;

/** As the owner of the tables, one session at a time: which days change places, and with what. @throws PipelineError */
export async function asOwner<T>(
  port: ShadowPort,
  work: (connection: PinnedConnection) => Promise<T>,
): Promise<T> {
  const { ADMIN_DATABASE_URL: url } = parseConfig(port.env, {
    ...environmentSlice,
    /** Owns the tables: it makes, attaches and drops them. */
    ADMIN_DATABASE_URL: postgresUrl,
  });
  await using database = open(url, 'sluice-replay-swap');
  return await database.withSession(work);
}

/** {@link asOwner}, and nobody else swaps meanwhile. @throws PipelineError CUSTODY_BUSY */
export function asOnlySwapper<T>(
  port: ShadowPort,
  work: (connection: PinnedConnection) => Promise<T>,
): Promise<T> {
  return asOwner(port, (connection) => withSwapLock(connection, () => work(connection)));
}

/** As the operator, who reads columns that are not sealed. @throws PipelineError */
export async function asOperator<T>(
  port: ShadowPort,
  work: (connection: PinnedConnection) => Promise<T>,
): Promise<T> {
  const { OPERATOR_DATABASE_URL: url } = parseConfig(port.env, {
    ...environmentSlice,
    OPERATOR_DATABASE_URL: postgresUrl,
  });
  await using database = open(url, 'sluice-replay-diff');
  return await database.withSession(work);
}

function open(url: string, applicationName: string): Database {
  return openDatabase(url, { applicationName, max: 1, statementTimeoutMs });
}

/** Days as they were given, each a date. @throws PipelineError USAGE */
export function daysOf(texts: readonly string[] | undefined): Day[] | undefined {
  return texts?.map((text) => {
    const day = parseDay(text);
    if (day === undefined) throw new PipelineError('USAGE', '--day is not a date such as 2026-11-24');
    return day;
  });
}

/** The days of a job's shadow, oldest first; those that were asked for, if any were. @throws PipelineError SHADOW_MISSING */
export async function chooseDays(
  connection: PinnedConnection,
  table: string,
  job: string,
  wanted: readonly Day[] | undefined,
): Promise<{ shadow: Shadow; days: readonly ShadowDay[] }> {
  const shadow = await findShadow(connection, table, job);
  const missing = wanted?.find((day) => !shadow.days.some((one) => one.day === day));
  if (missing !== undefined) throw new PipelineError('SHADOW_MISSING', `${shadow.name} has no ${missing}`);
  return { shadow, days: shadow.days.filter(({ day }) => wanted?.includes(day) ?? true) };
}

/** A line of JSON, or lines for a person. @throws PipelineError OUTPUT_FAILED */
export function tell(
  port: ShadowPort,
  json: boolean | undefined,
  value: object,
  lines: readonly string[],
): Promise<void> {
  const text = json === true ? `${printableJson(value)}\n` : lines.map((line) => `${line}\n`).join('');
  return writeText(port.stdout, text);
}
