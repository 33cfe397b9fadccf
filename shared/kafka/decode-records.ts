import type { IncomingRecord } from './ports.ts';
import { zstdCodec } from './zstd-codec.ts';

/** Bytes of a record batch before its records (KIP-98; "Record Batch" in the Kafka manual), and where its length ends. */
const batchHeaderBytes = 61;
const lengthEnd = 12;
const magic = 2;
const attributeBits = { codec: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const;
const codecs = { none: 0, zstd: 4 } as const;

const noHeaders: Readonly<Record<string, Buffer>> = Object.freeze({});

/** The records of a fetch answer's partition, all of them, and the offset of the last batch's last record, which may be compacted away. */
export interface DecodedRecords {
  readonly records: IncomingRecord[];
  readonly lastOffset: bigint;
}

/**
 * Decodes the record batches of a partition in a fetch answer. Keys, values and header values are slices of `bytes` (or of what it decompressed
 * to), not copies. A batch that is cut off at the end is left for the next fetch.
 *
 * @returns undefined for what is not ours to decide or to decompress: transactions, control records, formats before Kafka 0.11, codecs other
 *   than zstd. Then kafkajs's own decoder has to look.
 */
export async function decodeRecords(bytes: Buffer): Promise<DecodedRecords | undefined> {
  const records: IncomingRecord[] = [];
  let lastOffset = -1n;
  for (let start = 0; start + batchHeaderBytes <= bytes.length;) {
    const end = start + lengthEnd + bytes.readInt32BE(start + 8);
    // Also no batch: going on from there would go round for ever.
    if (bytes[start + 16] !== magic || end < start + batchHeaderBytes) return undefined;
    if (end > bytes.length) break;
    const attributes = bytes.readInt16BE(start + 21);
    if ((attributes & (attributeBits.transactional | attributeBits.control)) !== 0) return undefined;
    const codec = attributes & attributeBits.codec;
    if (codec !== codecs.none && codec !== codecs.zstd) return undefined;
    const base = bytes.readBigInt64BE(start);
    if (base > Number.MAX_SAFE_INTEGER) return undefined;
    const packed = bytes.subarray(start + batchHeaderBytes, end);
    const content = codec === codecs.zstd ? await zstdCodec.decompress(packed) : packed;
    const appendedMs =
      (attributes & attributeBits.logAppendTime) !== 0 ? Number(bytes.readBigInt64BE(start + 35)) : undefined;
    const times = { firstMs: Number(bytes.readBigInt64BE(start + 27)), appendedMs };
    new RecordReader(content).readInto(records, bytes.readInt32BE(start + 57), Number(base), times);
    lastOffset = base + BigInt(bytes.readInt32BE(start + 23));
    start = end;
  }
  return { records, lastOffset };
}

/**
 * A record where it lies in what was fetched. Thousands wait to be written, and what waits is copied and marked by the garbage collector again
 * and again: so key and value are made when they are asked for, **each time anew**.
 */
class FetchedRecord implements IncomingRecord {
  readonly timestampMs: number;
  readonly headers: Readonly<Record<string, Buffer>>;
  readonly #bytes: Buffer;
  readonly #offset: number;
  readonly #keyAt: number;
  readonly #keyEnd: number;
  readonly #valueAt: number;
  readonly #valueEnd: number;

  constructor(
    bytes: Buffer,
    offset: number,
    [keyAt, keyEnd, valueAt, valueEnd]: readonly [number, number, number, number],
    rest: Pick<IncomingRecord, 'timestampMs' | 'headers'>,
  ) {
    this.timestampMs = rest.timestampMs;
    this.headers = rest.headers;
    this.#bytes = bytes;
    this.#offset = offset;
    this.#keyAt = keyAt;
    this.#keyEnd = keyEnd;
    this.#valueAt = valueAt;
    this.#valueEnd = valueEnd;
  }

  get offset(): bigint {
    return BigInt(this.#offset);
  }

  get key(): Buffer {
    return this.#bytes.subarray(this.#keyAt, this.#keyEnd);
  }

  get value(): Buffer {
    return this.#bytes.subarray(this.#valueAt, this.#valueEnd);
  }

  get size(): number {
    return this.#keyEnd - this.#keyAt + this.#valueEnd - this.#valueAt;
  }
}

/** Reads records one after another: `length | attributes | timestamp delta | offset delta | key | value | headers`, all zigzag varints. */
class RecordReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  readInto(
    records: IncomingRecord[],
    count: number,
    baseOffset: number,
    times: { firstMs: number; appendedMs: number | undefined },
  ): void {
    for (let i = 0; i < count; i += 1) {
      const length = this.#varint();
      const end = this.#at + length;
      this.#at += 1;
      const timestampMs = times.firstMs + this.#varint();
      const offset = baseOffset + this.#varint();
      const keyBytes = Math.max(0, this.#varint());
      const keyAt = this.#at;
      this.#at += keyBytes;
      const valueBytes = Math.max(0, this.#varint());
      const valueAt = this.#at;
      this.#at += valueBytes;
      const headers = this.#headers();
      records.push(
        new FetchedRecord(this.#bytes, offset, [keyAt, keyAt + keyBytes, valueAt, valueAt + valueBytes], {
          timestampMs: times.appendedMs ?? timestampMs,
          headers,
        }),
      );
      this.#at = end;
    }
  }

  /** Of a header given twice the last one counts, as `Headers.lastHeader` of the Java client has it; a null one is none. */
  #headers(): Readonly<Record<string, Buffer>> {
    const count = this.#varint();
    if (count <= 0) return noHeaders;
    const found = new Map<string, Buffer>();
    for (let i = 0; i < count; i += 1) {
      const name = this.#slice()?.toString('utf8') ?? '';
      const value = this.#slice();
      if (value === undefined) found.delete(name);
      else found.set(name, value);
    }
    // fromEntries, so that a header named "__proto__" is a header.
    return found.size === 0 ? noHeaders : Object.fromEntries(found);
  }

  #slice(): Buffer | undefined {
    const length = this.#varint();
    if (length < 0) return undefined;
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** Up to ten bytes. Exact to 53 bits: offsets' and lengths' are 32, and a time beyond them is no time. */
  #varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.#at++] ?? 0;
    let value = byte & 0x7f;
    let weight = 128;
    while (byte > 0x7f) {
      byte = bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * weight;
      weight *= 128;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
