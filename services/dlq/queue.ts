import { table } from '../../shared/text-table.ts';
import { PipelineError } from '../../shared/errors.ts';
import { canonicalUuid } from '../../shared/crypto/uuid.ts';
import type { Queue, QueueMessage } from '../../shared/sqs/ports.ts';
import { dayOf } from '../../shared/time.ts';

import type { Filter } from '../../shared/streams/selection.ts';

/** SQS's limit for a batch call. */
const batch = 10;
const waitSeconds = 1;
/** Receives in a row that brought nothing new. */
const looks = 3;

/** A message of the dead-letter queue without its body, its group and the values of its attributes. */
export interface QueuedLetter {
  readonly eventId: string;
  /** ISO 8601, UTC. */
  readonly sentAt: string;
  readonly receiveCount: number;
  readonly bytes: number;
  /** Names and sizes. */
  readonly attributes: Readonly<Record<string, number>>;
}

export interface QueueListing {
  /** SQS calls all three approximate. */
  readonly waiting: number;
  readonly inFlight: number;
  readonly delayed: number;
  /** Messages looked at. */
  readonly sampled: number;
  /** Of those that match, by the day they were sent on. */
  readonly days: Readonly<Record<string, number>>;
  readonly entries: readonly QueuedLetter[];
}

/** Which messages a filter of {@link toFilter} means. @throws PipelineError USAGE for what a queue does not know */
export function queueFilter(filter: Filter): (message: QueueMessage) => boolean {
  const { codes, partitions, failedFromMs, failedToMs, eventIds, fromMs, toMs } = filter;
  if (codes !== undefined || partitions !== undefined || (failedFromMs ?? failedToMs) !== undefined) {
    throw new PipelineError(
      'USAGE',
      'SQS does not say why and when a message failed: with --queue filter by --from, --to and --event-id',
    );
  }
  return ({ messageId, sentAtMs }) =>
    (eventIds === undefined || eventIds.has(canonicalUuid(messageId) ?? messageId)) &&
    (fromMs === undefined || sentAtMs >= fromMs) &&
    (toMs === undefined || sentAtMs < toMs);
}

/**
 * Looks at messages by receiving them, as SQS has no other way: **none is deleted, and all are handed back at the end**, or come back by
 * themselves. Their receive count goes up. Ends at `limit` messages that match, after `sample` messages, or when nothing new comes.
 *
 * @throws PipelineError of SQS
 */
export async function listQueue(
  queue: Queue,
  options: {
    readonly wanted: (message: QueueMessage) => boolean;
    readonly limit: number;
    readonly sample: number;
    readonly signal: AbortSignal;
  },
): Promise<QueueListing> {
  const { wanted, limit, sample, signal } = options;
  const { visible, inFlight, delayed } = await queue.attributes();
  const receipts = new Map<string, string>();
  const entries: QueuedLetter[] = [];
  const days: Record<string, number> = {};
  try {
    for (let nothingNew = 0; nothingNew < looks && receipts.size < sample && entries.length < limit;) {
      const messages = await queue.receive({
        max: Math.min(batch, sample - receipts.size),
        waitSeconds,
        signal,
      });
      if (signal.aborted) break;
      const fresh = messages.filter(({ messageId }) => !receipts.has(messageId));
      for (const { messageId, receiptHandle } of messages) receipts.set(messageId, receiptHandle);
      nothingNew = fresh.length === 0 ? nothingNew + 1 : 0;
      for (const message of fresh.filter(wanted)) {
        const day = dayOf(message.sentAtMs);
        days[day] = (days[day] ?? 0) + 1;
        if (entries.length < limit) entries.push(describeQueued(message));
      }
    }
  } finally {
    await handBack(queue, [...receipts.values()]);
  }
  return { waiting: visible, inFlight, delayed, sampled: receipts.size, days, entries };
}

async function handBack(queue: Queue, receipts: readonly string[]): Promise<void> {
  for (let at = 0; at < receipts.length; at += batch) {
    await queue.changeVisibility(receipts.slice(at, at + batch), 0);
  }
}

function describeQueued(message: QueueMessage): QueuedLetter {
  const { messageId, sentAtMs, receiveCount, body, attributes } = message;
  return {
    eventId: messageId,
    sentAt: new Date(sentAtMs).toISOString(),
    receiveCount,
    bytes: Buffer.byteLength(body),
    attributes: Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, value.length])),
  };
}

export function queueListingText(listing: QueueListing): string {
  const { waiting, inFlight, delayed, sampled, days, entries } = listing;
  const n = (value: number) => value.toLocaleString('en-US');
  const head = `about ${n(waiting)} waiting, ${n(inFlight)} in flight, ${n(delayed)} delayed; ${n(sampled)} looked at\n`;
  if (entries.length === 0) return head;
  const dayRows = Object.entries(days)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([day, count]) => [day, String(count)]);
  const rows = entries.map((entry) => [
    entry.eventId,
    entry.sentAt,
    String(entry.receiveCount),
    String(entry.bytes),
    Object.keys(entry.attributes).join(' '),
  ]);
  return `${head}\n${table([['DAY', 'MESSAGES'], ...dayRows])}\n${table([['EVENT', 'SENT', 'RECEIVED', 'BYTES', 'ATTRIBUTES'], ...rows])}`;
}

export function queuedText(letter: QueuedLetter): string {
  const sizes = Object.entries(letter.attributes).map(([name, bytes]) => `${name} (${bytes} bytes)`);
  return table([
    ['event', letter.eventId],
    ['sent', letter.sentAt],
    ['received', `${letter.receiveCount} times`],
    ['size', `body ${letter.bytes} bytes`],
    ...(sizes.length === 0 ? [] : [['attributes', sizes.join(', ')]]),
  ]);
}
