import type { IncomingRecord, OutgoingRecord } from '../kafka/ports.ts';
import { horizon, msPerDay } from '../time.ts';
import { deadLetterHeaders, redriveHeaders, type DeadLetter } from './dead-letter.ts';
import { identityHeaders, identityOf } from './identity.ts';
import { traceHeaders } from './trace-headers.ts';

/** What a redriven record says of its past; the rest of it would be wrong the next time. */
const keptHeaders: ReadonlySet<string> = new Set([
  deadLetterHeaders.attempts,
  deadLetterHeaders.firstFailedAt,
]);
const droppedHeaders: ReadonlySet<string> = new Set(
  Object.values(deadLetterHeaders).filter((name) => !keptHeaders.has(name)),
);

/**
 * A dead letter as it goes back to the raw topic: key and value unchanged, for the value is sealed to its identity, and **the identity and
 * time of its origin in headers**, so that it lands on the row it would have had. It keeps its attempts and the time of its first failure,
 * which the next failure counts on from; its trace
 * becomes that of its origin.
 *
 * Its timestamp stays too, unless it is older than SQS keeps a message: Kafka counts retention from it, and might delete the record before
 * the writer reads it. Then it is the present.
 */
export function toRedriven(letter: DeadLetter, record: IncomingRecord, nowMs: number): OutgoingRecord {
  // fromEntries, so that a header named "__proto__" is a header.
  const headers = Object.fromEntries(
    Object.entries(record.headers).filter(([name]) => !droppedHeaders.has(name)),
  );
  headers[deadLetterHeaders.firstSource] = Buffer.from(letter.firstSource);
  const { [traceHeaders.traceparent]: trace } = headers;
  if (trace !== undefined) {
    headers[traceHeaders.origin] = trace;
    delete headers[traceHeaders.traceparent];
  }
  const identity = identityOf(record);
  if (identity !== undefined) {
    headers[identityHeaders.originId] = Buffer.from(identity.eventId);
    headers[identityHeaders.originSentAt] = Buffer.from(String(identity.sentAtMs));
  }
  const old = record.timestampMs < nowMs - horizon.daysBack * msPerDay;
  return {
    key: record.key,
    value: record.value,
    timestampMs: old && identity !== undefined ? nowMs : record.timestampMs,
    headers,
  };
}

/**
 * The mark that a dead letter was redriven. It goes into the partition of that one, behind it, and has its timestamp, so that retention
 * takes it not before.
 */
export function toRedriveMark(letter: DeadLetter, record: IncomingRecord, nowMs: number): OutgoingRecord {
  return {
    key: record.key,
    value: Buffer.alloc(0),
    timestampMs: record.timestampMs,
    headers: {
      [redriveHeaders.redriven]: Buffer.from(letter.id),
      [redriveHeaders.redrivenAt]: Buffer.from(new Date(nowMs).toISOString()),
    },
  };
}

/** The id of the dead letter that this record marks; undefined when it is no mark. */
export function markedId(headers: IncomingRecord['headers']): string | undefined {
  return headers[redriveHeaders.redriven]?.toString('latin1', 0, 500);
}
