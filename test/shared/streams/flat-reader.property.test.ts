import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlatReader } from '../../../shared/streams/flat-reader.ts';
import { parseBody } from '../../../shared/streams/parse-body.ts';

const names = ['ip', 'locale', 'device_id'];
const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.constantFrom('', '"', '\\', '\u007f', '\u0080', 'null', '{', '}', ',', ':'),
);
const name = fc.oneof(fc.constantFrom(...names, 'i', 'ipx', '__proto__', ''), text);
const value = fc.oneof(
  { weight: 9, arbitrary: text },
  fc.constantFrom(null, true, 1, {}, [], { ip: 'x' }, ['x']),
);
/** Names may come twice: written by hand, for an object has each once. */
const written = fc
  .array(fc.tuple(name, value), { maxLength: 5 })
  .map(
    (fields) => `{${fields.map(([key, of]) => `${JSON.stringify(key)}:${JSON.stringify(of)}`).join(',')}}`,
  );
const flat = fc
  .record({ ip: fc.string(), locale: fc.option(fc.string()), device_id: fc.string(), more: fc.string() })
  .map((object) => JSON.stringify(object));
/** A few bytes set at random, taken out or cut off. */
const damaged = fc
  .tuple(
    fc.oneof(written, flat),
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: -1, max: 255 })), { maxLength: 3 }),
  )
  .map(([json, changes]) => {
    let bytes = [...Buffer.from(json)];
    for (const [at, byte] of changes) {
      const place = at % (bytes.length + 1);
      if (byte === -1) bytes = bytes.toSpliced(place, 1);
      else bytes[place] = byte;
    }
    return Buffer.from(bytes);
  });
const body = fc.oneof(
  written.map((json) => Buffer.from(json)),
  flat.map((json) => Buffer.from(json)),
  damaged,
);

describe('FlatReader', () => {
  it('reads what a JSON parser reads, or nothing', () => {
    const reader = new FlatReader(names);
    let read = 0;
    fc.assert(
      fc.property(body, (bytes) => {
        const found = reader.read(bytes);
        if (found === undefined) return;
        read += 1;
        const parsed = parseBody(bytes);
        if ('refusal' in parsed) throw new Error(parsed.refusal.code);
        const { object, keys, plain } = parsed;
        expect(plain).toBe(true);
        expect(found.values).toEqual(
          names.map((one) => (Object.hasOwn(object, one) ? object[one] : undefined)),
        );
        const known = names.filter((one) => Object.hasOwn(object, one)).length;
        expect(found.unknownFields).toBe(keys - known);
      }),
      { numRuns: 10_000 },
    );
    // It would prove nothing of what it never reads.
    expect(read).toBeGreaterThan(1_000);
  });

  it.each([
    '',
    '{',
    '}',
    '{}',
    '{"ip":"1",}',
    '{,"ip":"1"}',
    '{"ip":"1"}}',
    '{"ip":nul}',
    '{"ip":"1" }',
    '{"ip":"\\n"}',
    '{"ip":null',
  ])('leaves %s to the parser', (json) => {
    expect(new FlatReader(names).read(Buffer.from(json))).toBeUndefined();
  });

  it('leaves to the parser what names a field twice, or two that it does not know', () => {
    const reader = new FlatReader(names);
    expect(reader.read(Buffer.from('{"ip":"1","ip":"1"}'))).toBeUndefined();
    expect(reader.read(Buffer.from('{"ip":null,"ip":"1"}'))).toBeUndefined();
    expect(reader.read(Buffer.from('{"a":"1","b":"1"}'))).toBeUndefined();
    expect(reader.read(Buffer.from('{"a":"1","ip":"1"}'))).toEqual({
      values: ['1', undefined, undefined],
      unknownFields: 1,
    });
  });
});
