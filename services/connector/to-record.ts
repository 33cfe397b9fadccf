import { canonicalUuid } from '../../shared/crypto/uuid.ts';
import type { TransitIdentity } from '../../shared/crypto/transit.ts';
import type { OutgoingRecord } from '../../shared/kafka/ports.ts';
import type { QueueMessage } from '../../shared/sqs/ports.ts';
import { identityHeaders } from '../../shared/streams/identity.ts';
import { traceparentOf } from './traceparent.ts';

/** Nothing was sent before SQS existed; and no clock of ours or the producer's is a day wrong. */
const earliestOriginMs = Date.UTC(2006, 6, 13);
const futureToleranceMs = 86_400_000;

/** A message on its way to becoming a record: everything but the value. */
export interface Envelope {
  /** Who the event is: of the origin, when the message is a redriven dead letter. The value is sealed to it. */
  readonly identity: TransitIdentity;
  readonly record: Omit<OutgoingRecord, 'value'>;
}

/**
 * Key, time and headers of a message.
 *
 * Standard queue: key = MessageId. FIFO: key = MessageGroupId, so that a group stays in one partition and in order, and
 * the header `message-id`. Time = SentTimestamp. Headers only where there is something to say: `traceparent`,
 * `origin-id` with `origin-sent-at` (a UUID and milliseconds since the epoch: both valid, or both stay plain attributes), and
 * `attr.<name>` for every other message attribute, bytes unchanged.
 *
 *     { messageId: '6f9d…', sentAtMs: 1790000000000, attributes: { tenant: 'a' } }
 *     → key '6f9d…', timestampMs 1790000000000, headers { 'attr.tenant': 'a' }
 */
export function toEnvelope(message: QueueMessage, options: { fifo: boolean; nowMs: number }): Envelope {
  const messageId = canonicalUuid(message.messageId) ?? message.messageId;
  const { sentAtMs, attributes } = message;
  const headers: Record<string, Buffer> = {};
  const group = options.fifo ? message.groupId : undefined;
  if (group !== undefined) headers[identityHeaders.messageId] = Buffer.from(messageId);

  const traceparent = traceparentOf(message);
  if (traceparent !== undefined) headers['traceparent'] = Buffer.from(traceparent);

  const origin = originOf(attributes, options.nowMs);
  if (origin !== undefined) {
    headers[identityHeaders.originId] = Buffer.from(origin.eventId);
    headers[identityHeaders.originSentAt] = Buffer.from(String(origin.sentAtMs));
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'traceparent' && value.equals(headers['traceparent'] ?? nothing)) continue;
    if (origin !== undefined && (name === identityHeaders.originId || name === identityHeaders.originSentAt))
      continue;
    headers[`attr.${name}`] = value;
  }
  return {
    identity: origin ?? { eventId: messageId, sentAtMs },
    record: {
      key: Buffer.from(group ?? messageId),
      timestampMs: sentAtMs,
      ...(Object.keys(headers).length === 0 ? {} : { headers }),
    },
  };
}

const nothing = Buffer.alloc(0);

/** Anyone who may send to the queue may claim an origin, so a claim is believed only as far as it makes sense. */
function originOf(attributes: Readonly<Record<string, Buffer>>, nowMs: number): TransitIdentity | undefined {
  const id = attributes[identityHeaders.originId];
  const sentAt = attributes[identityHeaders.originSentAt];
  if (id === undefined || sentAt === undefined) return undefined;
  const eventId = canonicalUuid(id.toString());
  const text = sentAt.toString();
  const sentAtMs = /^\d{12,14}$/.test(text) ? Number(text) : Number.NaN;
  if (eventId === undefined) return undefined;
  if (!(sentAtMs >= earliestOriginMs && sentAtMs <= nowMs + futureToleranceMs)) return undefined;
  return { eventId, sentAtMs };
}
