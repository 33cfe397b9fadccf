import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBody, takeValue } from '../../../shared/vault/kv2-value.ts';

const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array));

test('a body is the JSON that Vault documents', () => {
  fc.assert(
    fc.property(bytes, (value) => {
      expect(JSON.parse(createBody(value).toString())).toEqual({
        options: { cas: 0 },
        data: { value: value.toString('base64') },
      });
    }),
  );
});

test('a value is taken out of an answer, which keeps its shape and nothing of the value', () => {
  fc.assert(
    fc.property(bytes, fc.constantFrom(undefined, 2), (value, indent) => {
      const text = value.toString('base64');
      const answer = { request_id: 'x', data: { data: { value: text }, metadata: { version: 1 } } };
      const json = Buffer.from(JSON.stringify(answer, undefined, indent));
      expect(takeValue(json)?.toString('hex')).toBe(value.toString('hex'));
      expect(JSON.parse(json.toString())).toEqual({
        ...answer,
        data: { ...answer.data, data: { value: 'A'.repeat(text.length) } },
      });
    }),
  );
});

test.each([
  '{}',
  '{"data":{"data":null}}',
  '{"value":7}',
  '{"value":null}',
  '{"value":""}',
  '{"value":"A"}',
  '{"value":"AAA"}',
  '{"value":"AAA=AAAA"}',
  '{"value":"====","x":1}',
  '{"value":"AA-_"}',
  '{"value":"AAAA',
  '{"value"',
  '{"value":"\\u0041AAA"}',
])('%s has no value', (json) => {
  expect(takeValue(Buffer.from(json))).toBeUndefined();
});
