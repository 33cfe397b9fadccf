import type { TransitIdentity } from '../crypto/transit.ts';
import { canonicalUuid } from '../crypto/uuid.ts';
import { PipelineError } from '../errors.ts';
import type { IncomingRecord } from '../kafka/ports.ts';
import { isDeadLetterCode, type DeadLetter } from './dead-letter.ts';
import { identityOf } from './identity.ts';
import { parseTime } from '../time.ts';

/** What is wanted of a topic, as given on a command line. */
export interface FilterOptions {
  readonly code?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly failedFrom?: string;
  readonly failedTo?: string;
  readonly partition?: readonly number[];
  readonly eventId?: readonly string[];
}

/** Times in milliseconds since the epoch; the later one is excluded. */
export interface Filter {
  readonly codes: ReadonlySet<string> | undefined;
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly failedFromMs: number | undefined;
  readonly failedToMs: number | undefined;
  readonly partitions: readonly number[] | undefined;
  readonly eventIds: ReadonlySet<string> | undefined;
}

/** What was given, parsed. @throws PipelineError USAGE */
export function toFilter(options: FilterOptions): Filter {
  const wrong = options.code?.find((code) => !isDeadLetterCode(code));
  if (wrong !== undefined) throw new PipelineError('USAGE', `--code ${wrong} is no code of a dead letter`);
  return {
    codes: options.code === undefined ? undefined : new Set(options.code),
    fromMs: timeOf('--from', options.from),
    toMs: timeOf('--to', options.to),
    failedFromMs: timeOf('--failed-from', options.failedFrom),
    failedToMs: timeOf('--failed-to', options.failedTo),
    partitions: options.partition,
    eventIds: options.eventId === undefined ? undefined : new Set(options.eventId.map(eventIdOf)),
  };
}

/** Whether a dead letter is selected. */
export function matches(filter: Filter, letter: DeadLetter, record: IncomingRecord): boolean {
  const { codes } = filter;
  if (codes !== undefined && !codes.has(letter.code)) return false;
  if (!matchesRecord(filter, record, identityOf(record))) return false;
  if (filter.failedFromMs === undefined && filter.failedToMs === undefined) return true;
  return within(Date.parse(letter.firstFailedAt), filter.failedFromMs, filter.failedToMs);
}

/** Whether a record is selected by what it is known by; its timestamp counts where it has no identity. */
export function matchesRecord(
  { eventIds, fromMs, toMs }: Pick<Filter, 'eventIds' | 'fromMs' | 'toMs'>,
  record: IncomingRecord,
  identity: TransitIdentity | undefined,
): boolean {
  if (eventIds !== undefined && (identity === undefined || !eventIds.has(identity.eventId))) return false;
  return within(identity?.sentAtMs ?? record.timestampMs, fromMs, toMs);
}

/** A time that is none is never within. */
function within(ms: number, from: number | undefined, to: number | undefined): boolean {
  return (from === undefined || ms >= from) && (to === undefined || ms < to);
}

function timeOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseTime(text);
  if (ms === undefined)
    throw new PipelineError('USAGE', `${option} takes 2026-11-24 or 2026-11-24T08:00:00Z`);
  return ms;
}

function eventIdOf(text: string): string {
  const id = canonicalUuid(text);
  if (id === undefined) throw new PipelineError('USAGE', '--event-id takes a MessageId, which is a UUID');
  return id;
}
