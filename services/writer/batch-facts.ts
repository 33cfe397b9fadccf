import type { Slice } from '../../db/rows/encode.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { recordSize } from '../../shared/kafka/record-size.ts';
import { traceHeaders } from '../../shared/streams/trace-headers.ts';

/** What telemetry wants to know of a batch. */
export interface BatchFacts {
  readonly count: number;
  /** Of keys and values. */
  readonly bytes: number;
  /** When each was sent, milliseconds since the epoch. */
  readonly sentAtMs: Float64Array;
  /** Those that say they belong to a trace. */
  readonly traced: readonly { readonly partition: number; readonly record: IncomingRecord }[];
}

/**
 * In one pass, just before the records are looked at anyway: **thousands of objects that lie about in memory cost more to find than all that
 * is done with them.**
 */
export function factsOf(slices: readonly Slice[]): BatchFacts {
  const count = slices.reduce((total, { records }) => total + records.length, 0);
  const sentAtMs = new Float64Array(count);
  const traced: { partition: number; record: IncomingRecord }[] = [];
  let bytes = 0;
  let i = 0;
  // Records without headers share one object.
  let plain: IncomingRecord['headers'] | undefined;
  for (const { partition, records } of slices) {
    for (const record of records) {
      const { headers } = record;
      bytes += recordSize(record);
      sentAtMs[i] = record.timestampMs;
      i += 1;
      if (headers === plain) continue;
      if (headers[traceHeaders.traceparent] ?? headers[traceHeaders.origin])
        traced.push({ partition, record });
      else plain = headers;
    }
  }
  return { count, bytes, sentAtMs, traced };
}
