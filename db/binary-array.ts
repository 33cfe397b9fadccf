import { writeUuid } from '../shared/crypto/uuid.ts';
import { PipelineError } from '../shared/errors.ts';
import { dayOf, msPerDay, type Day } from '../shared/time.ts';
import { writeUtf8 } from '../shared/utf8.ts';
import { returnMemory, takeMemory } from './array-memory.ts';

/**
 * Parameters of array types in Postgres's binary format (`array_recv`): dimensions, whether there are nulls, the element type's oid, then
 * length and lower bound of the one dimension, then each element's length and bytes. Text would be quoted, escaped and parsed again.
 *
 * One date, `pushDate(0)` → `00000001 00000000 0000043a 00000001 00000001 | 00000004 ffffd533`: 1970-01-01 is 10,957 days before Postgres's epoch.
 */
const oids = { bytea: 17, int8: 20, int4: 23, text: 25, date: 1082, timestamptz: 1184, uuid: 2950 } as const;

export type ElementType = keyof typeof oids;

const headerBytes = 20;
const lengthBytes = 4;
const nullLength = -1;
const int4Bytes = 4;
const int8Bytes = 8;
const uuidBytes = 16;

/** 2000-01-01, UTC. */
const epochMs = 946_684_800_000;
const epochDays = epochMs / msPerDay;

export function bigintArray(values: readonly bigint[]): Buffer {
  return arrayOf('int8', values, (array, value) => array.pushBigint(value));
}

/** Null is null. @throws PipelineError DATABASE_REJECTED as Postgres would: a value beyond 32 bits */
export function integerArray(values: readonly (number | null)[]): Buffer {
  return arrayOf('int4', values, (array, value) => array.pushInteger(value));
}

export function textArray(values: readonly (string | null)[]): Buffer {
  return arrayOf('text', values, (array, value) => array.pushText(value));
}

function arrayOf<T>(
  type: ElementType,
  values: readonly T[],
  push: (array: GrowingArray, value: T) => void,
): Buffer {
  const array = new GrowingArray(type, values.length * (lengthBytes + uuidBytes));
  for (const value of values) push(array, value);
  return array.array;
}

/**
 * An array in the making: its elements are pushed, or one is {@link open}ed, written into {@link bytes} and {@link close}d where it ends. So what is
 * made is made in its place, and no element is an object of its own, for a garbage collector to copy for as long as the batch is on its way.
 */
export class GrowingArray {
  bytes: Buffer;
  readonly #type: ElementType;
  #at = headerBytes;
  #length = 0;
  #nulls = false;
  /** An integer beyond 32 bits is among them. */
  #outOfRange = false;
  #lastBigint: bigint | undefined;

  /** `expectedBytes`: what its elements and their lengths (four bytes each) may take together; more is made room for. */
  constructor(type: ElementType, expectedBytes: number) {
    this.#type = type;
    const needed = headerBytes + expectedBytes;
    this.bytes = takeMemory(needed);
  }

  static of(type: ElementType, elements: Iterable<string | Buffer | null>): GrowingArray {
    const array = new GrowingArray(type, 0);
    for (const element of elements) array.push(typeof element === 'string' ? Buffer.from(element) : element);
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

  /** As it is sent, without its length. */
  push(element: Buffer | null): void {
    if (element === null) return this.pushNull();
    const start = this.open(element.length);
    this.bytes.set(element, start);
    this.close(start + element.length);
    if (this.#type === 'int4' && element.length !== int4Bytes) this.#outOfRange = true;
  }

  pushNull(): void {
    this.open(0);
    this.#at = this.bytes.writeInt32BE(nullLength, this.#at);
    this.#length += 1;
    this.#nulls = true;
  }

  pushText(text: string | null): void {
    if (text === null) return this.pushNull();
    // A UTF-16 unit takes three bytes of UTF-8 at most.
    const start = this.open(3 * text.length);
    this.close(start + writeUtf8(this.bytes, start, text));
  }

  /** With one beyond 32 bits there is no {@link array}. It keeps its place, in eight bytes, by which {@link pick} knows it. */
  pushInteger(value: number | null): void {
    if (value === null) return this.pushNull();
    const start = this.open(int8Bytes);
    if (value === (value | 0)) return this.close(this.bytes.writeInt32BE(value, start));
    this.close(this.bytes.writeDoubleBE(value, start));
    this.#outOfRange = true;
  }

  /** Days since 1970-01-01. */
  pushDate(day: number): void {
    const start = this.open(int4Bytes);
    this.close(this.bytes.writeInt32BE(day - epochDays, start));
  }

  /** A time, in milliseconds since 1970. */
  pushTime(ms: number): void {
    const start = this.open(int8Bytes);
    // Below 2⁵³ for 285 years: a BigInt costs four times as much.
    const micros = (ms - epochMs) * 1_000;
    this.bytes.writeInt32BE(Math.floor(micros / 2 ** 32), start);
    this.close(this.bytes.writeUInt32BE(micros >>> 0, start + int4Bytes));
  }

  /** The same one again, which is the rule, costs no arithmetic of BigInts. */
  pushBigint(value: bigint): void {
    const start = this.open(int8Bytes);
    const { bytes } = this;
    if (value === this.#lastBigint) {
      const last = start - lengthBytes - int8Bytes;
      bytes.writeInt32BE(bytes.readInt32BE(last), start);
      bytes.writeInt32BE(bytes.readInt32BE(last + int4Bytes), start + int4Bytes);
    } else {
      bytes.writeBigInt64BE(value, start);
      this.#lastBigint = value;
    }
    this.close(start + int8Bytes);
  }

  /** Canonical text: 36 characters. */
  pushUuid(uuid: string): void {
    const start = this.open(uuidBytes);
    writeUuid(this.bytes, uuid, start);
    this.close(start + uuidBytes);
  }

  /** Its elements, slices of {@link bytes}. */
  *[Symbol.iterator](): Generator<Buffer | null> {
    for (let at = headerBytes; at < this.#at;) {
      const start = at + lengthBytes;
      const length = this.bytes.readInt32BE(at);
      at = start + Math.max(0, length);
      yield length === nullLength ? null : this.bytes.subarray(start, at);
    }
  }

  /** Of an array of dates. */
  *days(): Generator<Day> {
    let known = Number.NaN;
    let day = '';
    for (let at = headerBytes + lengthBytes; at < this.#at; at += lengthBytes + int4Bytes) {
      const number = this.bytes.readInt32BE(at);
      if (number !== known) day = dayOf((number + epochDays) * msPerDay);
      known = number;
      yield day;
    }
  }

  /** One of the elements for whose index `keep` is true. */
  pick(keep: (index: number) => boolean): GrowingArray {
    const picked = new GrowingArray(this.#type, 0);
    for (let i = 0, at = headerBytes; i < this.#length; i += 1) {
      const start = at + lengthBytes;
      const length = this.bytes.readInt32BE(at);
      at = start + Math.max(0, length);
      if (keep(i)) picked.push(length === nullLength ? null : this.bytes.subarray(start, at));
    }
    return picked;
  }

  /** Gives its memory to arrays to come. **Nothing may read it any more**: no socket that it has not left yet either. */
  release(): void {
    returnMemory(this.bytes);
    this.bytes = Buffer.alloc(0);
    this.#at = headerBytes;
    this.#length = 0;
    this.#nulls = false;
    this.#outOfRange = false;
    this.#lastBigint = undefined;
  }

  /** The parameter. @throws PipelineError DATABASE_REJECTED as Postgres would: an integer beyond 32 bits */
  get array(): Buffer {
    if (this.#outOfRange) throw new PipelineError('DATABASE_REJECTED', 'SQLSTATE 22003');
    const { bytes } = this;
    // An empty array has one dimension of no length: `unnest` makes no row of it.
    bytes.writeInt32BE(1, 0);
    bytes.writeInt32BE(this.#nulls ? 1 : 0, 4);
    bytes.writeInt32BE(oids[this.#type], 8);
    bytes.writeInt32BE(this.#length, 12);
    bytes.writeInt32BE(1, 16);
    return bytes.subarray(0, this.#at);
  }
}
