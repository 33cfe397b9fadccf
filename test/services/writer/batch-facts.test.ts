import { expect, test } from 'vitest';
import { factsOf } from '../../../services/writer/batch-facts.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';

const none = Object.freeze({});
const record = (sentAtMs: number, headers: Record<string, Buffer> = none): IncomingRecord => ({
  offset: BigInt(sentAtMs),
  key: Buffer.from('key'),
  value: Buffer.alloc(10),
  timestampMs: sentAtMs,
  headers,
});

test('of a batch are told its records, bytes and times, and those with a trace or the origin of one', () => {
  const traceparent = Buffer.from('x');
  const [traced, other, replayed] = [
    record(2, { traceparent }),
    record(4, { 'attr.a': traceparent }),
    record(6, { 'origin-traceparent': traceparent }),
  ];
  const facts = factsOf([
    { partition: 1, records: [record(1), traced, record(3)] },
    { partition: 2, records: [other, record(5), replayed, record(7)] },
  ]);
  expect(facts).toMatchObject({ count: 7, bytes: 7 * 13 });
  expect([...facts.sentAtMs]).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(facts.traced).toEqual([
    { partition: 1, record: traced },
    { partition: 2, record: replayed },
  ]);
});
