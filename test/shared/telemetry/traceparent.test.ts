import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTraceparent, isSampled, parseTraceparent } from '../../../shared/telemetry/traceparent.ts';

const given = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const hex = (digits: number) =>
  fc
    .array(fc.constantFrom(...[...Array(16).keys()].map((n) => n.toString(16))), {
      minLength: digits,
      maxLength: digits,
    })
    .map((all) => all.join(''));

describe('parseTraceparent', () => {
  test('the example of the specification', () => {
    expect(parseTraceparent(Buffer.from(given))).toEqual({
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      spanId: '00f067aa0ba902b7',
      traceFlags: 1,
      isRemote: true,
    });
  });

  test.for([
    '',
    'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01',
    '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01',
    `${given}-extra`,
    ` ${given}`,
  ])('"%s" is none', (text) => {
    expect(parseTraceparent(Buffer.from(text))).toBeUndefined();
  });

  test('what is formatted is parsed, whatever the ids and flags; any bytes are survived', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.integer({ min: 0, max: 255 }), (traceId, spanId, traceFlags) => {
        fc.pre(!/^0+$/.test(traceId) && !/^0+$/.test(spanId));
        const context = { traceId, spanId, traceFlags };
        const parsed = parseTraceparent(Buffer.from(formatTraceparent(context)));
        expect(parsed).toEqual({ ...context, isRemote: true });
        expect(parsed && isSampled(parsed)).toBe(traceFlags % 2 === 1);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(parseTraceparent(Buffer.from(bytes))).toBeUndefined();
      }),
    );
  });

  test('no header is none', () => {
    expect(parseTraceparent(undefined)).toBeUndefined();
  });
});
