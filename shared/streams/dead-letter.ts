import { errorCodes, type DeadLetterCode } from '../errors.ts';
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
  /** Once redriven: the source of the first dead letter of this record. */
  firstSource: 'dlq.first-source',
} as const;

/** Headers of a mark: a record without a value beside the dead letters, which says that one of them has been redriven. */
export const redriveHeaders = {
  /** The {@link DeadLetter.id} of that one. */
  redriven: 'dlq.redriven',
  /** ISO 8601, UTC. */
  redrivenAt: 'dlq.redriven-at',
} as const;

/** What the headers of a dead letter say. */
export interface DeadLetter {
  /**
   * `<first source>#<attempts>`. **Two of one id are one**: a crash may write one again, a redrive that was cut short may put a record back
   * again, and whichever copy fails is the same failure of the same record.
   */
  readonly id: string;
  readonly code: string;
  readonly stage: string;
  readonly field: string | undefined;
  readonly detail: string | undefined;
  readonly source: string;
  readonly firstSource: string;
  readonly attempts: number;
  readonly firstFailedAt: string;
}

/** Undefined for a record of the dead-letter topic that is none: a mark, or somebody else's. */
export function readDeadLetter(headers: IncomingRecord['headers']): DeadLetter | undefined {
  const code = textOf(headers, deadLetterHeaders.code);
  const source = textOf(headers, deadLetterHeaders.source);
  const attempts = Number(textOf(headers, deadLetterHeaders.attempts) ?? Number.NaN);
  if (code === undefined || source === undefined || !Number.isSafeInteger(attempts)) return undefined;
  const firstSource = textOf(headers, deadLetterHeaders.firstSource) ?? source;
  return {
    id: `${firstSource}#${attempts}`,
    code: isDeadLetterCode(code) ? code : 'OTHER',
    stage: textOf(headers, deadLetterHeaders.stage) ?? '',
    field: textOf(headers, deadLetterHeaders.field),
    detail: textOf(headers, deadLetterHeaders.detail),
    source,
    firstSource,
    attempts,
    firstFailedAt: textOf(headers, deadLetterHeaders.firstFailedAt) ?? '',
  };
}

/** Whether that is a code of the catalogue that a record can be dead for. */
export function isDeadLetterCode(code: string): code is DeadLetterCode {
  return Object.hasOwn(errorCodes, code) && Reflect.get(errorCodes, code).action === 'deadLetter';
}

/** Words of ours are short. */
const maxHeaderBytes = 400;

function textOf(headers: IncomingRecord['headers'], name: string): string | undefined {
  return headers[name]?.toString('latin1', 0, maxHeaderBytes);
}

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
