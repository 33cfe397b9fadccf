import type { Batch, IHeaders, KafkaMessage } from 'kafkajs';
import type { FetchedBatch, IncomingRecord } from './ports.ts';

const nothing = Buffer.alloc(0);
const noHeaders: Readonly<Record<string, Buffer>> = Object.freeze({});

/** A kafkajs batch in the terms of the port. Keys and values are slices of the fetched bytes, not copies. */
export function toFetchedBatch(batch: Batch): FetchedBatch {
  return {
    topic: batch.topic,
    partition: batch.partition,
    records: batch.messages.map(toRecord),
    highWatermark: BigInt(batch.highWatermark),
  };
}

function toRecord(message: KafkaMessage): IncomingRecord {
  return {
    offset: BigInt(message.offset),
    key: message.key ?? nothing,
    value: message.value ?? nothing,
    timestampMs: Number(message.timestamp),
    headers: toHeaders(message.headers),
  };
}

/** Of a header given twice the last one counts, as `Headers.lastHeader` of the Java client has it; a null one is none. */
function toHeaders(given: IHeaders | undefined): Readonly<Record<string, Buffer>> {
  const headers: [string, Buffer][] = [];
  for (const name in given) {
    const values = given[name];
    const value = Array.isArray(values) ? values.at(-1) : values;
    if (value === undefined || value === null) continue;
    headers.push([name, typeof value === 'string' ? Buffer.from(value) : value]);
  }
  // fromEntries, so that a header named "__proto__" is a header.
  return headers.length === 0 ? noHeaders : Object.fromEntries(headers);
}
