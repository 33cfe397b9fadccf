import type { IncomingRecord } from './ports.ts';
import { zstdCodec } from './zstd-codec.ts';

/** Bytes of a record batch before its records (KIP-98; "Record Batch" in the Kafka manual), and where its length ends. */
const batchHeaderBytes = 61;
const lengthEnd = 12;
const magic = 2;
const attributeBits = { codec: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const;
const codecs = { none: 0, zstd: 4 } as const;

type Headers = IncomingRecord['headers'];
const noHeaders: Headers = Object.freeze({});

/** A record takes seven bytes at least: one of each of its lengths and deltas. */
const leastRecordBytes = 7;

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
    const count = bytes.readInt32BE(start + 57);
    if (count < 0 || count * leastRecordBytes > content.length) return undefined;
    const block = new RecordReader(content).read(count, {
      offset: Number(base),
      firstMs: Number(bytes.readBigInt64BE(start + 27)),
      appendedMs,
    });
    for (let i = 0; i < count; i += 1) records.push(new FetchedRecord(block, i));
    lastOffset = base + BigInt(bytes.readInt32BE(start + 23));
    start = end;
  }
  return { records, lastOffset };
}

/** The records of a batch where they lie in what was fetched, in arrays that the garbage collector does not look into. */
interface Block {
  readonly bytes: Buffer;
  /** Of each: offset, and milliseconds since the epoch. */
  readonly numbers: Float64Array;
  /** Of each: where its key begins and ends, and its value. */
  readonly places: Int32Array;
  /** By index, of those that have some. */
  readonly headers: ReadonlyMap<number, Headers> | undefined;
}

/**
 * A record of a block. Thousands wait to be written, and what waits is copied and marked by the garbage collector again and again: so a record is two
 * fields, and key and value are made when they are asked for, **each time anew**.
 */
class FetchedRecord implements IncomingRecord {
  readonly #block: Block;
  readonly #index: number;

  constructor(block: Block, index: number) {
    this.#block = block;
    this.#index = index;
  }

  get offset(): bigint {
    return BigInt(this.#block.numbers[2 * this.#index] ?? 0);
  }

  get timestampMs(): number {
    return this.#block.numbers[2 * this.#index + 1] ?? 0;
  }

  get headers(): Headers {
    return this.#block.headers?.get(this.#index) ?? noHeaders;
  }

  get key(): Buffer {
    const { bytes, places } = this.#block;
    return bytes.subarray(places[4 * this.#index], places[4 * this.#index + 1]);
  }

  get keyText(): string {
    const { bytes, places } = this.#block;
    return bytes.toString('latin1', places[4 * this.#index], places[4 * this.#index + 1]);
  }

  get value(): Buffer {
    const { bytes, places } = this.#block;
    return bytes.subarray(places[4 * this.#index + 2], places[4 * this.#index + 3]);
  }

  get size(): number {
    const { places } = this.#block;
    const at = 4 * this.#index;
    return (places[at + 1] ?? 0) - (places[at] ?? 0) + (places[at + 3] ?? 0) - (places[at + 2] ?? 0);
  }
}

/** Reads records one after another: `length | attributes | timestamp delta | offset delta | key | value | headers`, all zigzag varints. */
class RecordReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(
    count: number,
    base: { readonly offset: number; readonly firstMs: number; readonly appendedMs: number | undefined },
  ): Block {
    const numbers = new Float64Array(2 * count);
    const places = new Int32Array(4 * count);
    let headers: Map<number, Headers> | undefined;
    for (let i = 0; i < count; i += 1) {
      const length = this.#varint();
      const end = this.#at + length;
      this.#at += 1;
      const timestampMs = base.firstMs + this.#varint();
      numbers[2 * i] = base.offset + this.#varint();
      numbers[2 * i + 1] = base.appendedMs ?? timestampMs;
      this.#place(places, 4 * i);
      this.#place(places, 4 * i + 2);
      const own = this.#headers();
      if (own !== noHeaders) (headers ??= new Map<number, Headers>()).set(i, own);
      this.#at = end;
    }
    return { bytes: this.#bytes, numbers, places, headers };
  }

  /** Where a key or value begins and ends; null is as good as empty. */
  #place(places: Int32Array, i: number): void {
    const length = Math.max(0, this.#varint());
    places[i] = this.#at;
    this.#at += length;
    places[i + 1] = this.#at;
  }

  /** Of a header given twice the last one counts, as `Headers.lastHeader` of the Java client has it; a null one is none. */
  #headers(): Headers {
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
