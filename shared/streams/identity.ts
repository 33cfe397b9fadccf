import { canonicalUuid } from '../crypto/uuid.ts';
import type { TransitIdentity } from '../crypto/transit.ts';

/** Names of the headers that carry identity: only records that need them have them. */
export const identityHeaders = {
  /** The MessageId, where the key is a FIFO MessageGroupId. */
  messageId: 'message-id',
  /** Of a redriven message: the MessageId and SentTimestamp (ms since the epoch, decimal) that it had at first. */
  originId: 'origin-id',
  originSentAt: 'origin-sent-at',
} as const;

/** A year well past any clock's error: a larger timestamp is no SentTimestamp (and would not be a Postgres date we partition). */
const latestMs = Date.parse('2200-01-01T00:00:00Z');

interface Identified {
  readonly key: Buffer;
  readonly keyText?: string | undefined;
  readonly timestampMs: number;
  readonly headers: Readonly<Record<string, Buffer>>;
}

/**
 * What a raw record is known by: the MessageId and SentTimestamp of its origin. **Never the current time**: a replay must land
 * on the same key.
 *
 * @returns undefined when the record carries no MessageId or no sane time (dead letter IDENTITY_INVALID).
 */
export function identityOf(record: Identified): TransitIdentity | undefined {
  const { headers } = record;
  const named = headers[identityHeaders.originId] ?? headers[identityHeaders.messageId];
  const id = named?.toString('latin1') ?? record.keyText ?? record.key.toString('latin1');
  const eventId = canonicalUuid(id);
  if (eventId === undefined) return undefined;
  const sentAtMs = sentAtOf(record);
  return isSentTimestamp(sentAtMs) ? { eventId, sentAtMs } : undefined;
}

/** The SentTimestamp of its origin, as far as it is one: see {@link identityOf}. */
export function sentAtOf({ headers, timestampMs }: Pick<Identified, 'headers' | 'timestampMs'>): number {
  const originSentAt = headers[identityHeaders.originSentAt];
  return originSentAt === undefined ? timestampMs : epochMs(originSentAt.toString('latin1'));
}

/** A whole number of milliseconds from 1970 to 2200. */
export function isSentTimestamp(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms > 0 && ms < latestMs;
}

function epochMs(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}
