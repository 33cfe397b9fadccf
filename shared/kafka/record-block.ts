import type { BatchCodec } from './encode-records.ts';
import type { IncomingRecord, OutgoingRecord } from './ports.ts';

/**
 * Stands for all records of a partition in kafkajs's machinery, which makes several objects and strings a message and copies its lists as often
 * as there are records. It sees a message with the offset of the last of them.
 */
export class IncomingBlock {
  readonly offset: string;
  readonly records: readonly IncomingRecord[];
  readonly isControlRecord = false;
  readonly key = null;
  readonly value = null;

  constructor(records: readonly IncomingRecord[], lastOffset: bigint) {
    this.records = records;
    this.offset = String(lastOffset);
  }
}

/** The same on the way out: a message that is to become a record batch. */
export class OutgoingBlock {
  readonly partition: number;
  readonly codec: BatchCodec;
  readonly records: readonly OutgoingRecord[];
  readonly key = null;
  readonly value = null;

  constructor(partition: number, records: readonly OutgoingRecord[], codec: BatchCodec) {
    this.partition = partition;
    this.codec = codec;
    this.records = records;
  }
}
