import { writeUuid } from '../shared/crypto/uuid.ts';
import { PipelineError } from '../shared/errors.ts';
import { dayNumber, msPerDay, type Day } from '../shared/time.ts';
import { writeUtf8 } from '../shared/utf8.ts';

/**
 * Parameters of array types in Postgres's binary format (`array_recv`): dimensions, whether there are nulls, the element type's oid, then
 * length and lower bound of the one dimension, then each element's length and bytes. Text would be quoted, escaped and parsed again.
 *
 * `dateArray(['1970-01-01'])` → `00000001 00000000 0000043a 00000001 00000001 | 00000004 ffffd533`: 1970-01-01 is 10,957 days before Postgres's epoch.
 */
const oids = { bytea: 17, int8: 20, int4: 23, text: 25, date: 1082, timestamptz: 1184, uuid: 2950 } as const;

const headerBytes = 20;
const lengthBytes = 4;
const nullLength = -1;

/** 2000-01-01, UTC. */
const epochMs = 946_684_800_000;
const epochDays = epochMs / msPerDay;

export function dateArray(days: readonly Day[]): Buffer {
  let known = '';
  let number = 0;
  return fixed(oids.date, 4, days, (target, at, day) => {
    if (day !== known) number = dayNumber(Date.parse(`${day}T00:00:00Z`)) - epochDays;
    known = day;
    target.writeInt32BE(number, at);
  });
}

/** Milliseconds since 1970. */
export function timestampArray(times: readonly number[]): Buffer {
  return fixed(oids.timestamptz, 8, times, (target, at, ms) => {
    // Below 2⁵³ for 285 years: a BigInt costs four times as much.
    const micros = (ms - epochMs) * 1_000;
    target.writeInt32BE(Math.floor(micros / 2 ** 32), at);
    target.writeUInt32BE(micros >>> 0, at + 4);
  });
}

export function bigintArray(values: readonly bigint[]): Buffer {
  return fixed(oids.int8, 8, values, (target, at, value) => target.writeBigInt64BE(value, at));
}

/** Null is null. @throws PipelineError DATABASE_REJECTED as Postgres would: a value beyond 32 bits */
export function integerArray(values: readonly (number | null)[]): Buffer {
  const array = Buffer.allocUnsafe(headerBytes + values.length * (lengthBytes + 4));
  let at = writeHeader(array, oids.int4, values.length, values.includes(null));
  for (const value of values) {
    at = array.writeInt32BE(value === null ? nullLength : 4, at);
    if (value === null) continue;
    if (value !== (value | 0)) throw new PipelineError('DATABASE_REJECTED', 'SQLSTATE 22003');
    at = array.writeInt32BE(value, at);
  }
  return array.subarray(0, at);
}

/** Canonical text: 36 characters. */
export function uuidArray(values: readonly string[]): Buffer {
  return fixed(oids.uuid, 16, values, (target, at, uuid) => writeUuid(target, uuid, at));
}

export function textArray(values: readonly (string | null)[]): Buffer {
  // A UTF-16 unit takes three bytes of UTF-8 at most.
  const array = Buffer.allocUnsafe(
    values.reduce((sum, value) => sum + lengthBytes + 3 * (value?.length ?? 0), headerBytes),
  );
  let at = writeHeader(array, oids.text, values.length, values.includes(null));
  for (const value of values) {
    if (value === null) {
      at = array.writeInt32BE(nullLength, at);
      continue;
    }
    const length = writeUtf8(array, at + lengthBytes, value);
    at = array.writeInt32BE(length, at) + length;
  }
  return array.subarray(0, at);
}

/** Memory of arrays that have been sent. What lies outside the heap makes V8 collect the whole of it when it is thrown away. */
const spare: Buffer[] = [];
const leastSpareBytes = 16_384;
/** Four columns, of batches that are encoded, sent, and waited for. */
const mostSpare = 12;

/**
 * An array in the making, of texts or bytes: {@link open} an element, write it into {@link bytes}, {@link close} it where it ends. So what is made is
 * made in its place, and is no object of its own.
 */
export class GrowingArray {
  bytes: Buffer;
  readonly #oid: number;
  #at = headerBytes;
  #length = 0;

  /** `expectedBytes`: what its elements may take together; more is made room for. */
  constructor(type: 'text' | 'bytea', expectedBytes: number) {
    this.#oid = oids[type];
    const needed = headerBytes + expectedBytes;
    const found = spare.findIndex(({ length }) => length >= needed && length <= 4 * needed);
    this.bytes = spare.splice(found, found === -1 ? 0 : 1)[0] ?? Buffer.allocUnsafe(needed);
  }

  static of(type: 'text' | 'bytea', elements: readonly (string | Buffer)[]): GrowingArray {
    const array = new GrowingArray(type, 0);
    for (const element of elements) array.push(Buffer.from(element));
    return array;
  }

  get length(): number {
    return this.#length;
  }

  /** Makes room for an element of so many bytes. @returns where in {@link bytes} it begins; `bytes` is another after this */
  open(atMost: number): number {
    const start = this.#at + lengthBytes;
    if (start + atMost > this.bytes.length) {
      const larger = Buffer.allocUnsafe(2 * (start + atMost));
      this.bytes.copy(larger, 0, 0, this.#at);
      this.bytes = larger;
    }
    return start;
  }

  /** The element ends before `end`. */
  close(end: number): void {
    this.bytes.writeInt32BE(end - this.#at - lengthBytes, this.#at);
    this.#at = end;
    this.#length += 1;
  }

  push(element: Buffer): void {
    const start = this.open(element.length);
    this.bytes.set(element, start);
    this.close(start + element.length);
  }

  /** Its elements, slices of {@link bytes}. */
  *[Symbol.iterator](): Generator<Buffer> {
    for (let at = headerBytes; at < this.#at;) {
      const start = at + lengthBytes;
      at = start + this.bytes.readInt32BE(at);
      yield this.bytes.subarray(start, at);
    }
  }

  /** One of the elements for whose index `keep` is true. */
  pick(keep: (index: number) => boolean): GrowingArray {
    const type = this.#oid === oids.text ? 'text' : 'bytea';
    return GrowingArray.of(
      type,
      [...this].filter((_, i) => keep(i)),
    );
  }

  /** Gives its memory to arrays to come. **Nothing may read it any more**: no socket that it has not left yet either. */
  release(): void {
    if (this.bytes.length >= leastSpareBytes) {
      // What was let go of first may be of a size that is asked for no more.
      if (spare.length === mostSpare) spare.shift();
      spare.push(this.bytes);
    }
    this.bytes = Buffer.alloc(0);
    this.#at = headerBytes;
    this.#length = 0;
  }

  /** The parameter. */
  get array(): Buffer {
    writeHeader(this.bytes, this.#oid, this.#length, false);
    return this.bytes.subarray(0, this.#at);
  }
}

function fixed<T>(
  oid: number,
  size: number,
  values: readonly T[],
  write: (target: Buffer, at: number, value: T) => unknown,
): Buffer {
  const array = Buffer.allocUnsafe(headerBytes + values.length * (lengthBytes + size));
  let at = writeHeader(array, oid, values.length, false);
  for (const value of values) {
    at = array.writeInt32BE(size, at);
    write(array, at, value);
    at += size;
  }
  return array;
}

/** An empty array has one dimension of no length: `unnest` makes no row of it. */
function writeHeader(target: Buffer, oid: number, length: number, nulls: boolean): number {
  target.writeInt32BE(1, 0);
  target.writeInt32BE(nulls ? 1 : 0, 4);
  target.writeInt32BE(oid, 8);
  target.writeInt32BE(length, 12);
  return target.writeInt32BE(1, 16);
}
