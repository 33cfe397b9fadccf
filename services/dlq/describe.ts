import { deadLetterHeaders } from '../../shared/streams/dead-letter.ts';
import { identityHeaders, identityOf } from '../../shared/streams/identity.ts';
import { dayOf } from '../../shared/time.ts';
import type { Letter } from './letters.ts';

/** A dead letter without its body, key and foreign headers, which may be anything. */
export interface Described {
  /** `partition/offset` in the dead-letter topic. */
  readonly at: string;
  readonly state: 'open' | 'redriven';
  readonly code: string;
  readonly stage: string;
  readonly field: string | null;
  readonly detail: string | null;
  readonly attempts: number;
  readonly firstFailedAt: string;
  /** `topic/partition/offset` of the raw record that failed. */
  readonly source: string;
  readonly eventId: string | null;
  /** When the event was sent, ISO 8601, UTC. */
  readonly sentAt: string | null;
}

export function describe({ partition, letter, record, redriven }: Letter): Described {
  const identity = identityOf(record);
  return {
    at: `${partition}/${record.offset}`,
    state: redriven ? 'redriven' : 'open',
    code: letter.code,
    stage: letter.stage,
    field: letter.field ?? null,
    detail: letter.detail ?? null,
    attempts: letter.attempts,
    firstFailedAt: letter.firstFailedAt,
    source: letter.source,
    eventId: identity?.eventId ?? null,
    sentAt: identity === undefined ? null : new Date(identity.sentAtMs).toISOString(),
  };
}

/** The day of the event, UTC: of the record's timestamp where it has no identity. */
export function dayOfLetter({ record }: Letter): string {
  const ms = identityOf(record)?.sentAtMs ?? record.timestampMs;
  return Number.isSafeInteger(ms) && Math.abs(ms) < 8.64e15 ? dayOf(ms) : 'no day';
}

/** Everything that is ours to show of one. */
export interface Whole extends Described {
  readonly id: string;
  readonly firstSource: string;
  readonly timestamp: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** Names and sizes: values of producers' attributes may be personal. */
  readonly headers: Readonly<Record<string, number>>;
}

const ownHeaders: ReadonlySet<string> = new Set([
  ...Object.values(deadLetterHeaders),
  ...Object.values(identityHeaders),
]);

export function describeWhole(found: Letter): Whole {
  const { letter, record } = found;
  const others = Object.entries(record.headers).filter(([name]) => !ownHeaders.has(name));
  return {
    ...describe(found),
    id: letter.id,
    firstSource: letter.firstSource,
    timestamp: record.timestampMs,
    keyBytes: record.key.length,
    valueBytes: record.value.length,
    headers: Object.fromEntries(others.map(([name, value]) => [name, value.length])),
  };
}
