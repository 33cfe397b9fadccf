import type { Batch, IHeaders, KafkaMessage } from 'kafkajs';
import FetchedByKafkajs from 'kafkajs/src/consumer/batch.js';
import type { FetchedBatch, IncomingRecord } from './ports.ts';
import { IncomingBlock } from './record-block.ts';

const nothing = Buffer.alloc(0);
const noHeaders: Readonly<Record<string, Buffer>> = Object.freeze({});

/** A kafkajs batch in the terms of the port. Keys and values are slices of the fetched bytes, not copies. */
export function toFetchedBatch(batch: Batch): FetchedBatch {
  const asked = batch instanceof FetchedByKafkajs ? BigInt(batch.fetchedOffset) : 0n;
  return {
    topic: batch.topic,
    partition: batch.partition,
    records: batch.messages.flatMap((message) => recordsOf(message, asked)),
    highWatermark: BigInt(batch.highWatermark),
  };
}

/** From `asked` on: a record batch comes whole, although its middle was asked for. Of its own messages kafkajs has left the others out. */
function recordsOf(message: KafkaMessage, asked: bigint): readonly IncomingRecord[] {
  const block: unknown = message;
  if (!(block instanceof IncomingBlock)) return [toRecord(message)];
  const [first] = block.records;
  return first === undefined || first.offset >= asked
    ? block.records
    : block.records.filter(({ offset }) => offset >= asked);
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
