import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { appVersionNumber } from '../../../shared/streams/app-version.ts';
import { canonicalIp } from '../../../shared/streams/ip-address.ts';
import { parseBody } from '../../../shared/streams/parse-body.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';

const login = {
  user_id: '424cdd21-063a-43a7-b91b-7ca1a833afae',
  app_version: '2.3.0',
  device_type: 'android',
  ip: '199.172.111.135',
  locale: 'RU',
  device_id: '593-47-5928',
};

const parse = (body: unknown) =>
  userLogins.parse(
    Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  );

const json = JSON.stringify(login);

describe('user_logins', () => {
  test('a login', () => {
    expect(parse(login)).toEqual({ message: login, unknownFields: 0 });
  });

  test.each([
    ['locale null', { ...login, locale: null }, null],
    ['locale absent', { ...login, locale: undefined }, undefined],
    ['SQL in a locale', { ...login, locale: "'; drop table x; --" }, "'; drop table x; --"],
    ['32 characters beyond the BMP', { ...login, locale: '😀'.repeat(32) }, '😀'.repeat(32)],
  ])('takes %s', (_, body, locale) => {
    const parsed = parse(body);
    expect('message' in parsed && parsed.message.locale).toBe(locale);
  });

  test.each([
    ['another shape', { foo: 'bar' }, 'MESSAGE_SHAPE', 'user_id'],
    [
      'a missing field among wrong ones',
      { ...login, ip: 5, device_id: undefined },
      'MESSAGE_SHAPE',
      'device_id',
    ],
    ['a NUL character', { ...login, user_id: 'a\u0000b' }, 'FIELD_TEXT', 'user_id'],
    ['half a surrogate pair', json.replace('RU', '\\ud800'), 'FIELD_TEXT', 'locale'],
    ['a number for a string', { ...login, app_version: 2.3 }, 'FIELD_TYPE', 'app_version'],
    ['null for a string', { ...login, device_id: null }, 'FIELD_TYPE', 'device_id'],
    ['33 characters where 32 fit', { ...login, locale: 'x'.repeat(33) }, 'FIELD_TOO_LONG', 'locale'],
    [
      'a megabyte where 128 characters fit',
      { ...login, user_id: 'x'.repeat(1_000_000) },
      'FIELD_TOO_LONG',
      'user_id',
    ],
    ['an empty user', { ...login, user_id: '' }, 'FIELD_EMPTY', 'user_id'],
    ['an IP with leading zeros', { ...login, ip: '010.1.1.1' }, 'IP_ADDRESS', 'ip'],
    ['a duplicate key', json.replace('{', '{"ip":"10.0.0.1",'), 'BODY_DUPLICATE_KEY', undefined],
    [
      'a duplicate key, escaped',
      json.replace('{', '{"\\u0069p":"10.0.0.1",'),
      'BODY_DUPLICATE_KEY',
      undefined,
    ],
    ['a byte order mark', `\ufeff${json}`, 'BODY_NOT_JSON', undefined],
    ['nothing', '', 'BODY_EMPTY', undefined],
    ['no JSON', 'not json', 'BODY_NOT_JSON', undefined],
    ['an array', [login], 'BODY_NOT_OBJECT', undefined],
    ['null', 'null', 'BODY_NOT_OBJECT', undefined],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'BODY_NOT_UTF8', undefined],
    [
      '200,000-deep nesting',
      `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
      'BODY_TOO_DEEP',
      undefined,
    ],
  ])('refuses %s', (_, body, code, field) => {
    expect(parse(body)).toEqual({ refusal: field === undefined ? { code } : { code, field } });
  });

  test('unknown fields, __proto__ among them, are left out and counted', () => {
    const body = json.replace(
      '{',
      '{"__proto__":{"user_id":"evil"},"constructor":1,"extra":[1,{"user_id":"x"}],',
    );
    const parsed = parse(body);
    expect(parsed).toEqual({ message: login, unknownFields: 3 });
    expect('message' in parsed && Object.getPrototypeOf(parsed.message)).toBe(Object.prototype);
  });

  test('a refusal never quotes a value', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.constantFrom(...Object.keys(login)), { minLength: 1 }), (fields) => {
        const canary = 'CANARY\u0000'.repeat(80);
        const parsed = parse({ ...login, ...Object.fromEntries(fields.map((field) => [field, canary])) });
        expect(JSON.stringify(parsed)).not.toContain('CANARY');
      }),
    );
  });
});

describe('parseBody', () => {
  test('any JSON object comes through as JSON.parse gives it, and a key named again is refused', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { minKeys: 1 }),
        fc.nat(),
        (object, pick) => {
          const text = JSON.stringify(object);
          expect(parseBody(Buffer.from(text))).toEqual({
            object: JSON.parse(text),
            keys: Object.keys(object).length,
            plain: !text.includes('\\'),
          });
          const keys = Object.keys(JSON.parse(text));
          const key = keys[pick % keys.length] ?? '';
          const twice = `${text.slice(0, -1)},${JSON.stringify(key)}:0}`;
          expect(parseBody(Buffer.from(twice))).toEqual({ refusal: { code: 'BODY_DUPLICATE_KEY' } });
        },
      ),
    );
  });
});

describe('appVersionNumber', () => {
  test.each([
    ['2.3.0', 2_003_000],
    ['0.96', 96_000],
    ['6.02', 6_002_000],
    ['2146.999.999', 2_146_999_999],
    ['99999.0.0', undefined],
    ['2147.0.0', undefined],
    ['1e3', undefined],
    ['2.3.0-beta', undefined],
    ['', undefined],
    ['-1.0', undefined],
    ['1.1000', undefined],
    ['1.2.3.4', undefined],
    [' 1.2', undefined],
    ['1.2\n', undefined],
  ])('%j → %s', (text, number) => {
    expect(appVersionNumber(text)).toBe(number);
  });

  test('orders as versions do, without collisions', () => {
    const part = fc.integer({ min: 0, max: 999 });
    const version = fc.tuple(fc.integer({ min: 0, max: 2146 }), part, part);
    fc.assert(
      fc.property(version, version, (a, b) => {
        const order = a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
        const difference = (appVersionNumber(a.join('.')) ?? 0) - (appVersionNumber(b.join('.')) ?? 0);
        expect(Math.sign(difference)).toBe(Math.sign(order));
      }),
    );
  });
});

describe('canonicalIp', () => {
  test.each([
    ['1.2.3.4', '1.2.3.4'],
    ['255.255.255.255', '255.255.255.255'],
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:102:304', '1.2.3.4'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::0:1', '2001:db8::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::', '::'],
    ['010.1.1.1', undefined],
    ['256.1.1.1', undefined],
    ['1.2.3', undefined],
    ['1.2.3.4 ', undefined],
    ['0x7f.0.0.1', undefined],
    ['2130706433', undefined],
    ['::1.2.3.04', undefined],
    ['fe80::1%eth0', undefined],
    ['2001:db8::/32', undefined],
    ['1::2::3', undefined],
    [':', undefined],
    ['', undefined],
  ])('%j → %s', (text, canonical) => {
    expect(canonicalIp(text)).toBe(canonical);
  });

  test('is idempotent, and every spelling of an address has one', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const once = canonicalIp(address);
        expect(once).toBeDefined();
        expect(canonicalIp(once ?? '')).toBe(once);
        expect(canonicalIp(address.toUpperCase())).toBe(once);
      }),
    );
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(canonicalIp(address)).toBe(address);
      }),
    );
  });
});
