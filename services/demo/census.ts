import { identityOf } from '../../shared/streams/identity.ts';
import { deadLetterHeaders } from '../../shared/streams/dead-letter.ts';
import { markedId } from '../../shared/streams/redrive.ts';
import type { FetchedBatch } from '../../shared/kafka/ports.ts';
import type { DeadLetterCode } from '../../shared/errors.ts';

/** What a message was sent as, and so what must become of it. */
export interface SentMessage {
  readonly kind: 'login' | 'retry' | 'hostile';
  readonly name?: string;
  readonly becomes: 'row' | DeadLetterCode;
}

export interface Stored {
  readonly day: string;
  readonly latencyMs: number;
}

/** Where every message of a run has ended, and what is wrong with that. */
export interface Census {
  readonly sent: number;
  readonly rows: number;
  readonly deadLetters: number;
  readonly rowsByDay: Readonly<Record<string, number>>;
  readonly deadByCode: Readonly<Record<string, number>>;
  /** Milliseconds from SentTimestamp to the row. */
  readonly latencyMs: { readonly p50: number; readonly p99: number };
  /** One sentence each; empty when everything reconciles. */
  readonly problems: readonly string[];
}

/**
 * Takes the census: **every message sent must be exactly one row or exactly one dead letter, and the one that was expected**.
 */
export function takeCensus(
  sent: ReadonlyMap<string, SentMessage>,
  stored: ReadonlyMap<string, Stored>,
  dead: ReadonlyMap<string, ReadonlySet<string>>,
): Census {
  const problems: string[] = [];
  const rowsByDay: Record<string, number> = {};
  const deadByCode: Record<string, number> = {};
  let rows = 0;
  let deadLetters = 0;
  for (const [id, message] of sent) {
    const row = stored.get(id);
    const codes = dead.get(id);
    if (row !== undefined) {
      rows += 1;
      rowsByDay[row.day] = (rowsByDay[row.day] ?? 0) + 1;
    }
    if (codes !== undefined) {
      deadLetters += 1;
      for (const code of codes) deadByCode[code] = (deadByCode[code] ?? 0) + 1;
    }
    const became = [...(row === undefined ? [] : ['row']), ...(codes ?? [])].join(' and ') || 'nothing';
    if (became !== message.becomes) {
      problems.push(`${message.name ?? message.kind} ${id} became ${became} instead of ${message.becomes}`);
    }
  }
  const latencies = Float64Array.from([...stored.values()].map(({ latencyMs }) => latencyMs)).sort();
  const quantile = (q: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))] ?? 0;
  return {
    sent: sent.size,
    rows,
    deadLetters,
    rowsByDay,
    deadByCode,
    latencyMs: { p50: quantile(0.5), p99: quantile(0.99) },
    problems,
  };
}

/** Collects dead letters by event; two of one source are one, for a crash may write one again. */
export function collectDeadLetters(batch: FetchedBatch, into: Map<string, Set<string>>): void {
  for (const record of batch.records) {
    if (markedId(record.headers) !== undefined) continue;
    const id = identityOf(record)?.eventId ?? record.key.toString('latin1');
    const codes = into.get(id) ?? new Set();
    codes.add(record.headers[deadLetterHeaders.code]?.toString('latin1') ?? 'without a code');
    into.set(id, codes);
  }
}
