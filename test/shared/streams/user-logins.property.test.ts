import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acceptAtOnce, userLoginMessage, userLogins } from '../../../shared/streams/user-logins.ts';

const characters = fc.oneof(
  fc.string({ maxLength: 140 }),
  fc
    .array(fc.constantFrom('a', 'é', '\u0000', '\ud800', '\u{1f600}'), { maxLength: 140 })
    .map((list) => list.join('')),
  fc.constantFrom('', '\u0000', 'a\u0000b', '\ud800', 'x\udc00', '\u{1f600}'.repeat(40), 'x'.repeat(300)),
);
const anything = fc.oneof(characters, fc.constantFrom(null, 7, true, [], {}), fc.double());
const version = fc.oneof(fc.constantFrom('2.3.0', '0.96', '2147.0', '1.2.3.4', '1'), characters);
const ip = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.constantFrom('::ffff:1.2.3.4', '010.1.1.1', '1.2.3'),
  characters,
);
const short = fc.string({ minLength: 1, maxLength: 40 });
const valid = fc.record(
  {
    user_id: short,
    app_version: fc.constantFrom('2.3.0', '0.96', '6.02'),
    device_type: fc.string({ minLength: 1, maxLength: 32 }),
    ip: fc.oneof(fc.ipV4(), fc.ipV6()),
    locale: fc.option(fc.string({ maxLength: 32 })),
    device_id: short,
    more: short,
  },
  { requiredKeys: ['user_id', 'app_version', 'device_type', 'ip', 'device_id'] },
);
const wild = fc.record(
  {
    user_id: anything,
    app_version: version,
    device_type: anything,
    ip,
    locale: anything,
    device_id: anything,
    __proto__: anything,
    more: anything,
  },
  { requiredKeys: [] },
);
/** Valid but for one field. */
const nearly = fc.tuple(valid, wild).map(([good, bad]) => {
  const [name] = Object.keys(bad);
  return name === undefined ? good : Object.assign(good, { [name]: Reflect.get(bad, name) });
});

describe('what is accepted at once', () => {
  it('is what zod accepts, and becomes the same message', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(valid, nearly, wild), (given) => {
        const object: Record<string, unknown> = JSON.parse(JSON.stringify(given));
        const message = acceptAtOnce(object);
        if (message === undefined) return;
        accepted += 1;
        const byZod = userLoginMessage.safeParse(object);
        expect(byZod.success).toBe(true);
        expect(message).toStrictEqual(byZod.data);
      }),
      { numRuns: 3_000 },
    );
    // It would prove nothing of what it never sees, and gain nothing.
    expect(accepted).toBeGreaterThan(500);
  });

  it('changes nothing of what a body is found to be', () => {
    fc.assert(
      fc.property(fc.oneof(valid, nearly, wild), (given) => {
        const body = Buffer.from(JSON.stringify(given));
        const object: Record<string, unknown> = JSON.parse(body.toString());
        const parsed = userLogins.parse(body);
        const byZod = userLoginMessage.safeParse(object);
        const unknownFields = Object.keys(object).filter((key) => !(key in userLoginMessage.shape)).length;
        const { refusal } = { refusal: undefined, ...parsed };
        const expected = byZod.success ? { message: byZod.data, unknownFields } : { refusal };
        expect(parsed).toStrictEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});
