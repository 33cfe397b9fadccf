import type { AccessEntry } from '../../db/queries/insert-access.ts';
import type { SealedEvent } from '../../db/queries/sealed-event.ts';
import type { DayOpener } from '../../shared/crypto/open-event.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

export interface RecoveredEvent {
  readonly eventId: string;
  readonly day: Day;
  readonly sentAt: string;
  /** Columns that were never sealed. */
  readonly clear: Readonly<Record<string, unknown>>;
  /** Personal fields, opened; null for one that was erased or does not open. */
  readonly personal: Readonly<Record<string, string | null>>;
  /** Their tokens, for `--token`; null once erased. */
  readonly tokens: Readonly<Record<string, string | null>>;
  /** Fields that were erased; absent when none was. */
  readonly erased?: readonly string[];
  /** Columns whose sealed cell does not open in its place, moved or altered; absent when none. */
  readonly damaged?: readonly string[];
  /** The entry of the access log under which this was opened. */
  readonly accessId: string;
}

/** Whether anything of it is left to open: an event that was erased needs no key. */
export function isSealed<M>(stream: Stream<M>, row: SealedEvent): boolean {
  return stream.personalFields.some(({ sealedColumn }) => row[sealedColumn] !== null);
}

/** Opens the sealed fields of a row under its entry of the access log. `opener` may be left out when there are none. */
export function openRow<M>(
  stream: Stream<M>,
  row: SealedEvent,
  access: AccessEntry,
  opener: DayOpener | undefined,
): RecoveredEvent {
  const personal: Record<string, string | null> = {};
  const tokens: Record<string, string | null> = {};
  const erased: string[] = [];
  const damaged: string[] = [];
  for (const { field, sealedColumn, maskedColumn } of stream.personalFields) {
    const [sealed, token] = [row[sealedColumn], row[maskedColumn]];
    const plain = opener === undefined ? undefined : openCell(opener, row, sealedColumn);
    personal[field] = plain ?? null;
    tokens[field] = typeof token === 'string' ? token : null;
    if (sealed === null) erased.push(field);
    else if (plain === undefined) damaged.push(sealedColumn);
  }
  return {
    eventId: row.event_id,
    day: row.create_date,
    sentAt: row.sent_at,
    clear: Object.fromEntries(stream.clearColumns.map(({ column }) => [column, row[column]])),
    personal,
    tokens,
    ...(erased.length === 0 ? {} : { erased }),
    ...(damaged.length === 0 ? {} : { damaged }),
    accessId: access.id,
  };
}

/** Undefined for a cell that is erased, moved or altered, and for one whose data key is gone or not of this day. */
function openCell(opener: DayOpener, row: SealedEvent, column: string): string | undefined {
  const sealed = row[column];
  if (!Buffer.isBuffer(sealed) || row.sealed_dek === null) return undefined;
  const dataKey = { id: BigInt(row.dek_id), sealed: row.sealed_dek };
  try {
    return opener.open({ column, eventId: row.event_id }, sealed, dataKey);
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'INTERNAL') return undefined;
    throw error;
  }
}
