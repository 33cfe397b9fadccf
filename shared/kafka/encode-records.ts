import { crc32c } from './crc32c.ts';
import type { OutgoingRecord } from './ports.ts';
import { zstdCodec } from './zstd-codec.ts';

/** Bytes of a record batch before its records, and of those the ones before what its checksum covers ("Record Batch" in the Kafka manual). */
const headerBytes = 61;
const uncheckedBytes = 21;
const magic = 2;
const codecs = { none: 0, zstd: 4 } as const;
const maxVarintBytes = 10;

/** How a batch is compressed on its way and in the log. */
export type BatchCodec = keyof typeof codecs;

/**
 * Records as one record batch of format 2, without a producer id, in one buffer and one pass. At least one record. The broker sets offset and epoch,
 * and checks the rest against its CRC-32C.
 */
export async function encodeRecords(records: readonly OutgoingRecord[], codec: BatchCodec): Promise<Buffer> {
  const batch = Buffer.allocUnsafe(
    headerBytes + records.reduce((sum, record) => sum + sizeAtMost(record), 0),
  );
  let [firstMs, maxMs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { timestampMs } of records) {
    if (timestampMs < firstMs) firstMs = timestampMs;
    if (timestampMs > maxMs) maxMs = timestampMs;
  }
  let end = headerBytes;
  for (const [i, record] of records.entries()) {
    end = writeRecord(batch, end, record, i, record.timestampMs - firstMs);
  }
  const whole =
    codec === 'none'
      ? batch.subarray(0, end)
      : await compressed(batch.subarray(0, headerBytes), batch.subarray(headerBytes, end));
  whole.writeBigInt64BE(0n, 0);
  whole.writeInt32BE(whole.length - 12, 8);
  whole.writeInt32BE(0, 12);
  whole.writeInt8(magic, 16);
  whole.writeInt16BE(codecs[codec], 21);
  whole.writeInt32BE(records.length - 1, 23);
  whole.writeBigInt64BE(BigInt(firstMs), 27);
  whole.writeBigInt64BE(BigInt(maxMs), 35);
  // Producer id, epoch and sequence: -1, -1 … none.
  whole.fill(0xff, 43, 57);
  whole.writeInt32BE(records.length, 57);
  whole.writeUInt32BE(crc32c(whole, uncheckedBytes), 17);
  return whole;
}

async function compressed(header: Buffer, records: Buffer): Promise<Buffer> {
  return Buffer.concat([header, await zstdCodec.compress({ buffer: records })]);
}

function sizeAtMost(record: OutgoingRecord): number {
  let size = 6 * maxVarintBytes + record.key.length + record.value.length;
  for (const name in record.headers) {
    size += 2 * maxVarintBytes + 3 * name.length + (record.headers[name]?.length ?? 0);
  }
  return size;
}

/** @returns where it ends */
function writeRecord(
  target: Buffer,
  start: number,
  record: OutgoingRecord,
  offsetDelta: number,
  timeDelta: number,
): number {
  const headers = Object.entries(record.headers ?? {});
  const names = headers.map(([name]) => Buffer.from(name));
  let length =
    1 +
    varintBytes(timeDelta) +
    varintBytes(offsetDelta) +
    sized(record.key) +
    sized(record.value) +
    varintBytes(headers.length);
  for (const [i, [, value]] of headers.entries()) length += sized(names[i] ?? value) + sized(value);
  let at = writeVarint(target, start, length);
  target[at++] = 0;
  at = writeVarint(target, at, timeDelta);
  at = writeVarint(target, at, offsetDelta);
  at = writeSized(target, at, record.key);
  at = writeSized(target, at, record.value);
  at = writeVarint(target, at, headers.length);
  for (const [i, [, value]] of headers.entries()) {
    at = writeSized(target, at, names[i] ?? value);
    at = writeSized(target, at, value);
  }
  return at;
}

function sized(bytes: Buffer): number {
  return varintBytes(bytes.length) + bytes.length;
}

function writeSized(target: Buffer, at: number, bytes: Buffer): number {
  const start = writeVarint(target, at, bytes.length);
  target.set(bytes, start);
  return start + bytes.length;
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = zigzag(value); left > 0x7f; left = Math.floor(left / 128)) bytes += 1;
  return bytes;
}

function writeVarint(target: Buffer, start: number, value: number): number {
  let at = start;
  let left = zigzag(value);
  for (; left > 0x7f; left = Math.floor(left / 128)) target[at++] = (left % 128) | 0x80;
  target[at++] = left;
  return at;
}
