import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toEnvelope } from '../../../services/connector/to-record.ts';
import type { QueueMessage } from '../../../shared/sqs/ports.ts';

const id = '6f9d0a3e-2f0b-4e1d-9f57-3d1c2b4a5e6f';
const originId = '0b8f7a52-1111-4222-8333-944455566677';
const nowMs = Date.UTC(2026, 10, 24);
const sentAtMs = nowMs - 5_000;
const standard = { fifo: false, nowMs };

function message(over: Partial<QueueMessage> = {}): QueueMessage {
  return {
    messageId: id,
    receiptHandle: 'r',
    body: 'b',
    sentAtMs,
    receiveCount: 1,
    attributes: {},
    ...over,
  };
}

function bytes(attributes: Record<string, string>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(attributes).map(([name, text]) => [name, Buffer.from(text)]));
}

describe('toEnvelope', () => {
  test('a plain message: key is the MessageId, time is SentTimestamp, no headers at all', () => {
    expect(toEnvelope(message(), standard)).toStrictEqual({
      identity: { eventId: id, sentAtMs },
      record: { key: Buffer.from(id), timestampMs: sentAtMs },
    });
  });

  test('FIFO: key is the group, the MessageId goes into a header and stays the identity', () => {
    const { identity, record } = toEnvelope(message({ groupId: 'user-7' }), { fifo: true, nowMs });
    expect(record.key.toString()).toBe('user-7');
    expect(record.headers).toStrictEqual({ 'message-id': Buffer.from(id) });
    expect(identity).toStrictEqual({ eventId: id, sentAtMs });
  });

  test('a group id on a standard queue (fair queueing) changes nothing', () => {
    expect(toEnvelope(message({ groupId: 'tenant' }), standard).record).toStrictEqual(
      toEnvelope(message(), standard).record,
    );
  });

  test('message attributes become attr.<name>, bytes unchanged', () => {
    const attributes = { ...bytes({ tenant: 'a', 'message-id': 'x' }), blob: Buffer.from([0, 255, 1]) };
    expect(toEnvelope(message({ attributes }), standard).record.headers).toStrictEqual({
      'attr.tenant': Buffer.from('a'),
      'attr.message-id': Buffer.from('x'),
      'attr.blob': Buffer.from([0, 255, 1]),
    });
  });

  test('a redriven message keeps the identity of its origin, in canonical form', () => {
    const attributes = bytes({ 'origin-id': originId.toUpperCase(), 'origin-sent-at': '1790000000000' });
    const { identity, record } = toEnvelope(message({ attributes }), standard);
    expect(identity).toStrictEqual({ eventId: originId, sentAtMs: 1790000000000 });
    expect(record.key.toString()).toBe(id);
    expect(record.timestampMs).toBe(sentAtMs);
    expect(record.headers).toStrictEqual(bytes({ 'origin-id': originId, 'origin-sent-at': '1790000000000' }));
  });

  test.each([
    ['no UUID', { 'origin-id': 'nobody', 'origin-sent-at': '1790000000000' }],
    ['no time', { 'origin-id': originId, 'origin-sent-at': 'yesterday' }],
    ['seconds for milliseconds', { 'origin-id': originId, 'origin-sent-at': '1790000000' }],
    ['before SQS existed', { 'origin-id': originId, 'origin-sent-at': '100000000000' }],
    ['the day after tomorrow', { 'origin-id': originId, 'origin-sent-at': String(nowMs + 2 * 86_400_000) }],
    ['a time alone', { 'origin-sent-at': '1790000000000' }],
    ['an id alone', { 'origin-id': originId }],
  ])('an origin that makes no sense (%s) stays a plain attribute', (_, attributes) => {
    const { identity, record } = toEnvelope(message({ attributes: bytes(attributes) }), standard);
    expect(identity).toStrictEqual({ eventId: id, sentAtMs });
    expect(record.headers).toStrictEqual(
      Object.fromEntries(Object.entries(bytes(attributes)).map(([name, value]) => [`attr.${name}`, value])),
    );
  });

  test('a valid traceparent is a header of that name; an invalid one stays an attribute', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(
      toEnvelope(message({ attributes: bytes({ traceparent }) }), standard).record.headers,
    ).toStrictEqual(bytes({ traceparent }));
    const zero = '00-00000000000000000000000000000000-b7ad6b7169203331-01';
    expect(
      toEnvelope(message({ attributes: bytes({ traceparent: zero }) }), standard).record.headers,
    ).toStrictEqual(bytes({ 'attr.traceparent': zero }));
  });

  test('a sampled X-Ray header becomes a traceparent, an unsampled or broken one nothing', () => {
    const headersOf = (traceHeader: string) => toEnvelope(message({ traceHeader }), standard).record.headers;
    const root = 'Root=1-5759e988-bd862e3fe1be46a994272793';
    expect(headersOf(`${root};Parent=53995c3f42cd8ad8;Sampled=1`)).toStrictEqual(
      bytes({ traceparent: '00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01' }),
    );
    expect(headersOf(`${root};Parent=53995c3f42cd8ad8;Sampled=0`)).toBeUndefined();
    expect(headersOf(`${root};Sampled=1`)).toBeUndefined();
    expect(headersOf('nonsense')).toBeUndefined();
  });

  test('whatever the attributes are, each is exactly one header and none can pose as one of ours', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}$/);
    fc.assert(
      fc.property(fc.dictionary(name, fc.uint8Array({ maxLength: 20 })), (given) => {
        const attributes = Object.fromEntries(
          Object.entries(given).map(([key, value]) => [key, Buffer.from(value)]),
        );
        const headers = toEnvelope(message({ attributes, groupId: 'g' }), { fifo: true, nowMs }).record
          .headers;
        expect(headers).toStrictEqual({
          'message-id': Buffer.from(id),
          ...Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`attr.${key}`, value])),
        });
      }),
    );
  });
});
