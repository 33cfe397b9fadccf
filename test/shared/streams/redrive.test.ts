import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { IncomingRecord, OutgoingRecord } from '../../../shared/kafka/ports.ts';
import { readDeadLetter, toDeadLetter, type DeadLetterReason } from '../../../shared/streams/dead-letter.ts';
import { identityOf } from '../../../shared/streams/identity.ts';
import { markedId, toRedriven, toRedriveMark } from '../../../shared/streams/redrive.ts';
import { msPerDay } from '../../../shared/time.ts';

const sentAtMs = Date.parse('2026-11-20T12:00:00Z');
const failedAtMs = sentAtMs + 1_000;
const nowMs = sentAtMs + 3_600_000;
const eventId = '6f9d0c1e-52b4-4c7e-9f0a-1d2e3f405162';

const incoming = (record: OutgoingRecord, offset: bigint): IncomingRecord => ({
  headers: {},
  ...record,
  offset,
});
const raw = (headers: Record<string, Buffer> = {}, key = eventId): IncomingRecord => ({
  offset: 7n,
  key: Buffer.from(key),
  value: Buffer.from([1, 1, 2, 3]),
  timestampMs: sentAtMs,
  headers,
});

function fail(record: IncomingRecord, reason: DeadLetterReason, atMs = failedAtMs): IncomingRecord {
  return incoming(toDeadLetter({ topic: 'raw', partition: 3, record }, reason, atMs), 70n);
}
function redrive(dead: IncomingRecord, offset: bigint, atMs = nowMs): IncomingRecord {
  const letter = readDeadLetter(dead.headers);
  if (letter === undefined) throw new Error('no dead letter');
  return incoming(toRedriven(letter, dead, atMs), offset);
}
const bad: DeadLetterReason = {
  code: 'FIELD_TYPE',
  stage: 'parse',
  field: 'locale',
  detail: 'SQLSTATE 22003',
};

describe('a redriven dead letter', () => {
  test('has key, value and identity of its origin, and of its past what the next failure counts on from', () => {
    const back = redrive(
      fail(raw({ traceparent: Buffer.from('t'), 'attr.tenant': Buffer.from('a') }), bad),
      90n,
    );
    expect(back.key.toString()).toBe(eventId);
    expect(back.value).toEqual(Buffer.from([1, 1, 2, 3]));
    expect(back.timestampMs).toBe(sentAtMs);
    expect(Object.fromEntries(Object.entries(back.headers).map(([k, v]) => [k, v.toString()]))).toEqual({
      'origin-traceparent': 't',
      'attr.tenant': 'a',
      'origin-id': eventId,
      'origin-sent-at': String(sentAtMs),
      'dlq.attempts': '1',
      'dlq.first-failed-at': '2026-11-20T12:00:01.000Z',
      'dlq.first-source': 'raw/3/7',
    });
  });

  test('that fails again counts its attempts, keeps its first failure and has no field of the failure before', () => {
    const again = fail(redrive(fail(raw(), bad), 90n), { code: 'BODY_NOT_JSON', stage: 'parse' }, nowMs + 5);
    expect(readDeadLetter(again.headers)).toEqual({
      id: 'raw/3/7#2',
      code: 'BODY_NOT_JSON',
      stage: 'parse',
      field: undefined,
      detail: undefined,
      source: 'raw/3/90',
      firstSource: 'raw/3/7',
      attempts: 2,
      firstFailedAt: '2026-11-20T12:00:01.000Z',
    });
  });

  test('put back twice, whichever copy fails is one dead letter', () => {
    const dead = fail(raw(), bad);
    const ids = [90n, 91n].map((offset) => readDeadLetter(fail(redrive(dead, offset), bad).headers)?.id);
    expect(ids).toEqual(['raw/3/7#2', 'raw/3/7#2']);
  });

  test('of a FIFO group keeps its group as key and its MessageId', () => {
    const back = redrive(fail(raw({ 'message-id': Buffer.from(eventId) }, 'group-1'), bad), 90n);
    expect(back.key.toString()).toBe('group-1');
    expect(identityOf(back)).toEqual({ eventId, sentAtMs });
  });

  test('older than SQS keeps a message has the present as its timestamp, and its own time as its identity', () => {
    const later = sentAtMs + 15 * msPerDay;
    const back = redrive(fail(raw(), bad), 90n, later);
    expect(back.timestampMs).toBe(later);
    expect(identityOf(back)).toEqual({ eventId, sentAtMs });
    const twice = redrive(fail(back, bad), 95n, later + 30 * msPerDay);
    expect(identityOf(twice)).toEqual({ eventId, sentAtMs });
  });

  test('without an identity goes back as it was', () => {
    const back = redrive(fail(raw({}, 'nobody'), { code: 'IDENTITY_INVALID', stage: 'parse' }), 90n);
    expect(identityOf(back)).toBeUndefined();
    expect(Object.keys(back.headers)).not.toContain('origin-id');
    expect(back.timestampMs).toBe(sentAtMs);
  });

  test('whatever the headers and however often: the same identity, and one more attempt each time', () => {
    const header = fc.dictionary(
      fc.oneof(fc.constantFrom('dlq.redriven', 'attr.x', 'traceparent', '__proto__'), fc.string()),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(header, fc.integer({ min: 1, max: 6 }), (headers, times) => {
        const foreign = Object.entries(headers).filter(([name]) => !/^(dlq|origin|message-id)/.test(name));
        let record = raw(Object.fromEntries(foreign));
        for (let i = 1; i <= times; i++) {
          const dead = fail(record, bad);
          expect(readDeadLetter(dead.headers)).toMatchObject({ attempts: i, firstSource: 'raw/3/7' });
          record = redrive(dead, 100n + BigInt(i));
          expect(identityOf(record)).toEqual({ eventId, sentAtMs });
          expect(record.headers).not.toHaveProperty('traceparent');
          for (const [name, value] of foreign) {
            expect(record.headers[name === 'traceparent' ? 'origin-traceparent' : name]).toEqual(value);
          }
        }
      }),
    );
  });
});

describe('a mark', () => {
  test('names its dead letter, is none itself, and holds no value', () => {
    const dead = fail(raw(), bad);
    const letter = readDeadLetter(dead.headers);
    if (letter === undefined) throw new Error('no dead letter');
    const mark = incoming(toRedriveMark(letter, dead, nowMs), 71n);
    expect(markedId(mark.headers)).toBe('raw/3/7#1');
    expect(readDeadLetter(mark.headers)).toBeUndefined();
    expect(mark.value).toHaveLength(0);
    expect(mark.timestampMs).toBe(dead.timestampMs);
    expect(markedId(dead.headers)).toBeUndefined();
  });

  test("somebody else's record is neither", () => {
    expect(readDeadLetter(raw().headers)).toBeUndefined();
    expect(readDeadLetter({ 'dlq.code': Buffer.from('x') })).toBeUndefined();
    const odd = { ...fail(raw(), bad).headers, 'dlq.code': Buffer.from('\u001b[31m') };
    expect(readDeadLetter(odd)?.code).toBe('OTHER');
  });
});
