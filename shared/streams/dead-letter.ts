import type { DeadLetterCode } from '../errors.ts';
import type { IncomingRecord, OutgoingRecord } from '../kafka/ports.ts';

/** Headers that a dead letter has besides those of its raw record. Names and coordinates, never contents. */
export const deadLetterHeaders = {
  code: 'dlq.code',
  /** `parse` or `insert`. */
  stage: 'dlq.stage',
  /** The field at fault, where there is one. */
  field: 'dlq.field',
  /** `SQLSTATE 22003`: of a row that Postgres refused. */
  detail: 'dlq.detail',
  /** `topic/partition/offset` of the raw record. Two dead letters of one source are one: a crash may write it again. */
  source: 'dlq.source',
  attempts: 'dlq.attempts',
  /** ISO 8601, UTC. */
  firstFailedAt: 'dlq.first-failed-at',
} as const;

export interface DeadLetterReason {
  readonly code: DeadLetterCode;
  readonly stage: 'parse' | 'insert';
  readonly field?: string;
  readonly detail?: string;
}

/**
 * The dead letter of a raw record: its key, timestamp, value (still sealed) and headers, and why it is here. A record that
 * fails again after a redrive counts its attempts and keeps the time of its first failure.
 */
export function toDeadLetter(
  source: { topic: string; partition: number; record: IncomingRecord },
  reason: DeadLetterReason,
  nowMs: number,
): OutgoingRecord {
  const { record } = source;
  const attempts = Number(record.headers[deadLetterHeaders.attempts]?.toString('latin1') ?? 0) + 1;
  const headers: Record<string, Buffer> = {
    ...record.headers,
    [deadLetterHeaders.code]: Buffer.from(reason.code),
    [deadLetterHeaders.stage]: Buffer.from(reason.stage),
    [deadLetterHeaders.source]: Buffer.from(`${source.topic}/${source.partition}/${record.offset}`),
    [deadLetterHeaders.attempts]: Buffer.from(String(Number.isSafeInteger(attempts) ? attempts : 1)),
    [deadLetterHeaders.firstFailedAt]:
      record.headers[deadLetterHeaders.firstFailedAt] ?? Buffer.from(new Date(nowMs).toISOString()),
  };
  if (reason.field !== undefined) headers[deadLetterHeaders.field] = Buffer.from(reason.field);
  if (reason.detail !== undefined) headers[deadLetterHeaders.detail] = Buffer.from(reason.detail);
  return { key: record.key, value: record.value, timestampMs: record.timestampMs, headers };
}
