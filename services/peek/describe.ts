import { sealedMarker, TransitSealer } from '../../shared/crypto/transit.ts';
import { printable } from '../../shared/printable.ts';
import { deadLetterHeaders } from '../../shared/streams/dead-letter.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import type { Day } from '../../shared/time.ts';
import type { Found } from './look.ts';

/** A record without its contents: where it lies, how large it is, how it is sealed. */
export interface Described {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** ISO 8601, UTC. */
  readonly timestamp: string;
  /** The MessageId; on a FIFO queue the MessageGroupId. */
  readonly key: string;
  /** The MessageId of its origin; null when it carries none. */
  readonly eventId: string | null;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly body: 'sealed' | 'plain' | 'empty' | 'damaged';
  /** Whose transit key opens it. */
  readonly transitDay: Day | null;
  /** Names alone: values may be anything. */
  readonly headers: readonly string[];
  /** Of a dead letter. */
  readonly dead?: {
    readonly code: string;
    readonly stage: string;
    readonly field: string | null;
    readonly detail: string | null;
    readonly source: string;
    readonly attempts: string;
    readonly firstFailedAt: string;
  };
}

/** Our own headers are words of ours, short and without contents; anything longer is somebody else's. */
const maxHeaderText = 300;

export function describe({ topic, partition, record }: Found): Described {
  const transitDay = TransitSealer.dayOf(record.value);
  const time = new Date(record.timestampMs);
  const dead = deadLetterOf(record.headers);
  return {
    topic,
    partition,
    offset: String(record.offset),
    timestamp: Number.isNaN(time.getTime()) ? String(record.timestampMs) : time.toISOString(),
    key: record.key.toString('utf8', 0, 256),
    eventId: identityOf(record)?.eventId ?? null,
    keyBytes: record.key.length,
    valueBytes: record.value.length,
    body: bodyOf(record.value, transitDay),
    transitDay: transitDay ?? null,
    headers: Object.keys(record.headers),
    ...(dead === undefined ? {} : { dead }),
  };
}

/** One line, safe for a terminal. */
export function describeLine(found: Described): string {
  const { partition, offset, timestamp, key, eventId, valueBytes, body, transitDay, dead } = found;
  const cells = [
    `${partition}/${offset}`.padStart(9),
    timestamp,
    printable(key).padEnd(36),
    `${valueBytes} B`.padStart(9),
    `${body}${transitDay === null ? '' : ` ${transitDay}`}`,
  ];
  if (eventId !== null && eventId !== key.toLowerCase()) cells.push(`of ${eventId}`);
  if (dead !== undefined) {
    const at = [dead.field, dead.detail].filter((one) => one !== null).join(' ');
    cells.push(dead.code, dead.stage, ...(at === '' ? [] : [at]), `attempt ${dead.attempts}`, dead.source);
  }
  return cells.map((cell) => printable(cell)).join('  ');
}

function bodyOf(value: Buffer, transitDay: Day | undefined): Described['body'] {
  if (value.length === 0) return 'empty';
  if (value[0] !== sealedMarker) return 'plain';
  return transitDay === undefined ? 'damaged' : 'sealed';
}

function deadLetterOf(headers: Readonly<Record<string, Buffer>>): Described['dead'] {
  const text = (name: string) => headers[name]?.toString('latin1', 0, maxHeaderText);
  const code = text(deadLetterHeaders.code);
  if (code === undefined) return undefined;
  return {
    code,
    stage: text(deadLetterHeaders.stage) ?? '',
    field: text(deadLetterHeaders.field) ?? null,
    detail: text(deadLetterHeaders.detail) ?? null,
    source: text(deadLetterHeaders.source) ?? '',
    attempts: text(deadLetterHeaders.attempts) ?? '',
    firstFailedAt: text(deadLetterHeaders.firstFailedAt) ?? '',
  };
}
