import type { EventFilter } from '../../db/queries/list-sealed-events.ts';
import { canonicalUuid } from '../../shared/crypto/uuid.ts';
import { PipelineError } from '../../shared/errors.ts';
import { parseDay, type Day } from '../../shared/time.ts';

/** Why something is opened, in the words of whoever opens it. */
export interface Purpose {
  readonly reason: string;
  readonly ticket: string;
}

/** One event. `day` spares the look-up in every day. */
export interface EventSelection {
  readonly eventId: string;
  readonly day: Day | undefined;
}

/** Every event that matches, of every day from `from` to `to`, both included. */
export interface RangeSelection {
  readonly filter: EventFilter;
  readonly from: Day;
  readonly to: Day;
}

export type Selection = EventSelection | RangeSelection;

/** What was asked for on the command line, unchecked. */
export interface SelectionOptions {
  readonly eventId?: string | undefined;
  readonly userId?: string | undefined;
  readonly token?: string | undefined;
  readonly day?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/**
 * What the access log, and a request for approval, say is opened: an event id, `user:U 2026-11-01..2026-11-24`,
 * `token:t1:… 2026-11-01..2026-11-24`. Two selections have the same subject only if they select the same.
 */
export function subjectOf(selection: Selection): string {
  if ('eventId' in selection) return selection.eventId;
  const { filter, from, to } = selection;
  const who = 'userId' in filter ? `user:${filter.userId}` : `token:${filter.token}`;
  return `${who} ${from}..${to}`;
}

/** @throws PipelineError USAGE unless exactly one thing is asked for, and completely. */
export function parseSelection(options: SelectionOptions): Selection {
  const { eventId, userId, token, day, from, to } = options;
  if ([eventId, userId, token].filter((one) => one !== undefined).length !== 1) {
    throw usage('give one of --event-id, --user-id and --token');
  }
  if (eventId !== undefined) {
    if (from !== undefined || to !== undefined) throw usage('--from and --to go with --user-id or --token');
    const id = canonicalUuid(eventId);
    if (id === undefined) throw usage('--event-id is not a UUID');
    return { eventId: id, day: day === undefined ? undefined : dayOption('--day', day) };
  }
  if (day !== undefined) throw usage('--day goes with --event-id: give --from and --to');
  if (from === undefined || to === undefined) throw usage('give --from and --to, both YYYY-MM-DD');
  const range = { from: dayOption('--from', from), to: dayOption('--to', to) };
  if (range.from > range.to) throw usage('--from lies after --to');
  return { filter: filterOf(userId, token), ...range };
}

/** @throws PipelineError USAGE when either is missing or empty */
export function parsePurpose(options: { reason?: string | undefined; ticket?: string | undefined }): Purpose {
  return {
    reason: purposeOption('--reason', options.reason, 'say why this is opened'),
    ticket: purposeOption('--ticket', options.ticket, 'name the request it belongs to'),
  };
}

function filterOf(userId: string | undefined, token: string | undefined): EventFilter {
  if (userId !== undefined) {
    if (!isText(userId, 128)) throw usage('--user-id is empty, longer than 128 characters, or holds NUL');
    return { userId };
  }
  if (token === undefined || !/^t[1-9]\d{0,8}:[\w-]{22}$/.test(token)) {
    throw usage('--token is not a token such as t1:YsI8h4m5s-yp_aNYsfm_vw (a value of a masked column)');
  }
  return { token };
}

function dayOption(name: string, text: string): Day {
  const day = parseDay(text);
  if (day === undefined) throw usage(`${name} is not a date such as 2026-11-24`);
  return day;
}

function purposeOption(name: string, text: string | undefined, what: string): string {
  if (text === undefined || text.trim() === '') throw usage(`${name} is missing: ${what}`);
  if (!isText(text, 1_000)) throw usage(`${name} is longer than 1,000 characters, or holds NUL`);
  return text;
}

/** What Postgres takes as a text of at most so many characters. */
function isText(text: string, maxLength: number): boolean {
  return (
    text !== '' && Array.from(text).length <= maxLength && text.isWellFormed() && !text.includes('\u0000')
  );
}

function usage(detail: string): PipelineError {
  return new PipelineError('USAGE', detail);
}
