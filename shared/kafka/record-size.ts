import type { IncomingRecord } from './ports.ts';

/** Bytes of its key and value. */
export function recordSize(record: IncomingRecord): number {
  return record.size ?? record.key.length + record.value.length;
}
