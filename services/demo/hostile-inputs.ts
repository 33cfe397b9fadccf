import type { DeadLetterCode } from '../../shared/errors.ts';

/** A hostile input and what must become of it. */
export interface HostileInput {
  readonly name: string;
  readonly body: Buffer;
  readonly becomes: 'row' | DeadLetterCode;
  /** SQS takes no empty body and nothing but text: these come from a producer that writes to the raw topic itself. */
  readonly notThroughSqs?: boolean;
}

const login = {
  user_id: 'hostile-0000',
  app_version: '2.3.0',
  device_type: 'android',
  ip: '198.51.100.7',
  locale: 'US',
  device_id: '000-00-0001',
};
const json = JSON.stringify(login);
/** SQS takes bodies up to 1 MiB. */
const largestBody = 1_048_576;

/** Every kind of input that has ever broken a pipeline like this one. */
export function hostileInputs(): HostileInput[] {
  const text = (name: string, body: string, becomes: HostileInput['becomes']): HostileInput => ({
    name,
    body: Buffer.from(body, 'utf8'),
    becomes,
  });
  const withFields = (name: string, fields: object, becomes: HostileInput['becomes']) =>
    text(name, JSON.stringify({ ...login, ...fields }), becomes);
  const padded = (length: number) =>
    `${json.slice(0, -1)},"padding":"${'x'.repeat(length - json.length - 13)}"}`;

  return [
    text('another shape', '{"foo":"bar"}', 'MESSAGE_SHAPE'),
    withFields('locale null', { locale: null }, 'row'),
    withFields('locale absent', { locale: undefined }, 'row'),
    withFields('a NUL character', { user_id: 'a\u0000b' }, 'FIELD_TEXT'),
    text('a key named twice', json.replace('{', '{"ip":"10.0.0.1",'), 'BODY_DUPLICATE_KEY'),
    text('a key named __proto__', json.replace('{', '{"__proto__":{"user_id":"other"},'), 'row'),
    ...['99999.0.0', '1e3', '2.3.0-beta', '-1.0'].map((version) =>
      withFields(`version ${version}`, { app_version: version }, 'APP_VERSION'),
    ),
    withFields('an empty version', { app_version: '' }, 'FIELD_EMPTY'),
    withFields('a version that is a number', { app_version: 2.3 }, 'FIELD_TYPE'),
    withFields('an IP with leading zeros', { ip: '010.1.1.1' }, 'IP_ADDRESS'),
    withFields('an IPv4-mapped address', { ip: '::ffff:1.2.3.4' }, 'row'),
    withFields(
      'IPv6, long spelling',
      { ip: '2001:0DB8:0000:0000:0000:0000:0000:0001', user_id: 'ipv6-long' },
      'row',
    ),
    withFields('IPv6, short spelling', { ip: '2001:db8::1', user_id: 'ipv6-short' }, 'row'),
    withFields('SQL in a locale', { locale: "'); drop table x; --" }, 'row'),
    withFields('33 characters where 32 fit', { locale: 'x'.repeat(33) }, 'FIELD_TOO_LONG'),
    text('a body of 1 MiB', padded(largestBody), 'row'),
    withFields('a user of 1,000,000 characters', { user_id: 'u'.repeat(1_000_000) }, 'FIELD_TOO_LONG'),
    text('half a surrogate pair', json.replace('"US"', String.raw`"\ud800"`), 'FIELD_TEXT'),
    text('a byte order mark', `\ufeff${json}`, 'BODY_NOT_JSON'),
    text('not JSON', 'login of somebody', 'BODY_NOT_JSON'),
    text('an array', `[${json}]`, 'BODY_NOT_OBJECT'),
    text('200,000-deep nesting', `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, 'BODY_TOO_DEEP'),
    withFields('unknown fields', { latitude: 52.5, nested: { ip: '10.0.0.1' } }, 'row'),
    { ...text('an empty body', '', 'BODY_EMPTY'), notThroughSqs: true },
    {
      name: 'bytes that are not UTF-8',
      body: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
      becomes: 'BODY_NOT_UTF8',
      notThroughSqs: true,
    },
  ];
}
