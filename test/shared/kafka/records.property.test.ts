import fc from 'fast-check';
import kafkajs from 'kafkajs';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import decodeByKafkajs from 'kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js';
import encodeByKafkajs from 'kafkajs/src/protocol/requests/produce/v7/request.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { crc32c } from '../../../shared/kafka/crc32c.ts';
import { decodeRecords, type DecodedRecords } from '../../../shared/kafka/decode-records.ts';
import { recordSize } from '../../../shared/kafka/record-size.ts';
import { encodeRecords, type BatchCodec } from '../../../shared/kafka/encode-records.ts';
import { patchKafkajs } from '../../../shared/kafka/kafkajs-patches.ts';
import type { IncomingRecord, OutgoingRecord } from '../../../shared/kafka/ports.ts';

beforeAll(() => patchKafkajs());

const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
/** Long enough for lengths of one, two and three varint bytes. */
const value = fc.oneof(
  bytes(100),
  fc.integer({ min: 60, max: 20_000 }).map((length) => Buffer.alloc(length, 7)),
);
/** kafkajs cannot give two headers of one name apart from an array, nor keep the order of names that are numbers. */
const headers = fc.dictionary(fc.string({ maxLength: 40 }), bytes(50), { maxKeys: 4 });
/** kafkajs sorts timestamps as text: of equal length, as SentTimestamps are. */
const record: fc.Arbitrary<OutgoingRecord> = fc.record(
  {
    key: bytes(70),
    value,
    timestampMs: fc.integer({ min: 1_000_000_000_000, max: 7_000_000_000_000 }),
    headers,
  },
  { requiredKeys: ['key', 'value', 'timestampMs'] },
);
const batch = fc.array(record, { minLength: 1, maxLength: 80 });
const codec = fc.constantFrom<BatchCodec>('none', 'zstd');

const incoming = (records: readonly OutgoingRecord[]): IncomingRecord[] =>
  records.map(({ headers: given, ...rest }, i) => ({ ...rest, offset: BigInt(i), headers: { ...given } }));

async function encodedByKafkajs(records: readonly OutgoingRecord[], compression: number): Promise<Buffer> {
  const messages = records.map(({ key, value, timestampMs, headers }) => ({
    key,
    value,
    timestamp: String(timestampMs),
    ...(headers === undefined ? {} : { headers: { ...headers } }),
  }));
  const topicData = [{ topic: 't', partitions: [{ partition: 0, messages, firstSequence: -1 }] }];
  const { buffer } = await encodeByKafkajs({
    acks: -1,
    timeout: 1,
    compression,
    topicData,
    producerEpoch: -1,
  }).encode();
  // transactional id 2, acks 2, timeout 4, topics 4, "t" 3, partitions 4, number 4, bytes 4.
  return buffer.subarray(27);
}

describe('CRC-32C', () => {
  it('has the check value of its definition, at any length and start', () => {
    expect(crc32c(Buffer.from('123456789'), 0)).toBe(0xe3069283);
    expect(crc32c(Buffer.from('xx123456789'), 2)).toBe(0xe3069283);
    // RFC 3720, B.4: 32 bytes of zeros, of ones, ascending.
    expect(crc32c(Buffer.alloc(32), 0)).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff), 0)).toBe(0x62a8ab43);
    expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0)).toBe(0x46dd794e);
  });
});

/** Parts that are made when they are asked for, asked for. */
function plain(found: DecodedRecords | undefined): DecodedRecords | undefined {
  return (
    found && {
      ...found,
      records: found.records.map(({ offset, key, value, timestampMs, headers }) => ({
        offset,
        key,
        value,
        timestampMs,
        headers,
      })),
    }
  );
}

describe('record batches', () => {
  it('without compression are byte for byte those of kafkajs', async () => {
    await fc.assert(
      fc.asyncProperty(batch, async (records) => {
        expect(await encodeRecords(records, 'none')).toEqual(await encodedByKafkajs(records, 0));
      }),
    );
  });

  it('are decoded as they were encoded, by us and by kafkajs', async () => {
    await fc.assert(
      fc.asyncProperty(batch, codec, async (records, by) => {
        const encoded = await encodeRecords(records, by);
        const found = await decodeRecords(encoded);
        expect(plain(found)).toEqual({ records: incoming(records), lastOffset: BigInt(records.length - 1) });
        expect(found?.records.map(({ keyText }) => keyText)).toEqual(
          records.map(({ key }) => key.toString('latin1')),
        );
        expect(found?.records.map(recordSize)).toEqual(
          records.map(({ key, value }) => key.length + value.length),
        );
        const length = Buffer.alloc(4);
        length.writeInt32BE(encoded.length);
        const theirs = await decodeByKafkajs(new Decoder(Buffer.concat([length, encoded])));
        expect(
          theirs.map(({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value })),
        ).toEqual(
          records.map(({ timestampMs, key, value }, i) => ({
            offset: String(i),
            timestamp: String(timestampMs),
            key,
            value,
          })),
        );
      }),
    );
  });

  it('of kafkajs are decoded by us, several in a row, the cut one left', async () => {
    await fc.assert(
      fc.asyncProperty(batch, batch, fc.nat(), async (first, second, cut) => {
        const one = await encodedByKafkajs(first, kafkajs.CompressionTypes.ZSTD);
        const two = await encodedByKafkajs(second, 0);
        two.writeBigInt64BE(BigInt(first.length), 0);
        const both = incoming([...first, ...second]);
        expect(plain(await decodeRecords(Buffer.concat([one, two])))).toEqual({
          records: both,
          lastOffset: BigInt(both.length - 1),
        });
        const part = two.subarray(0, cut % two.length);
        expect(plain(await decodeRecords(Buffer.concat([one, part])))).toEqual({
          records: incoming(first),
          lastOffset: BigInt(first.length - 1),
        });
      }),
    );
  });

  it('with the time of appending have that time', async () => {
    const encoded = await encodeRecords(
      [{ key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: 5 }],
      'none',
    );
    encoded.writeInt16BE(0x08, 21);
    encoded.writeBigInt64BE(99n, 35);
    expect((await decodeRecords(encoded))?.records[0]?.timestampMs).toBe(99);
  });

  it.each([
    ['transactional', 0x10],
    ['control', 0x20],
    ['gzip', 1],
  ])('that are %s are left to kafkajs', async (_, attributes) => {
    const encoded = await encodeRecords(
      [{ key: Buffer.alloc(0), value: Buffer.alloc(0), timestampMs: 5 }],
      'none',
    );
    encoded.writeInt16BE(attributes, 21);
    expect(await decodeRecords(encoded)).toBeUndefined();
  });

  it('of a format before Kafka 0.11 are left to kafkajs', async () => {
    const encoded = await encodeRecords(
      [{ key: Buffer.alloc(0), value: Buffer.alloc(0), timestampMs: 5 }],
      'none',
    );
    encoded.writeInt8(1, 16);
    expect(await decodeRecords(encoded)).toBeUndefined();
  });
});

describe('a header', () => {
  it('given twice counts as the last, and a null one is none', async () => {
    const head = await encodeRecords(
      [{ key: Buffer.alloc(0), value: Buffer.alloc(0), timestampMs: 5 }],
      'none',
    );
    const name = [2, 97];
    const headersOf = (...values: number[][]) => [
      values.length * 2,
      ...values.flatMap((v) => name.concat(v)),
    ];
    const decoded = async (list: number[]) => {
      const body = [0, 0, 0, 1, 1, ...list];
      const whole = Buffer.concat([head.subarray(0, 61), Buffer.from([body.length * 2, ...body])]);
      whole.writeInt32BE(whole.length - 12, 8);
      return (await decodeRecords(whole))?.records[0]?.headers;
    };
    expect(await decoded(headersOf([2, 1], [2, 2]))).toEqual({ a: Buffer.from([2]) });
    expect(await decoded(headersOf([2, 1], [1]))).toEqual({});
  });
});
