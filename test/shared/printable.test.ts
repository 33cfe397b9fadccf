import { expect, test } from 'vitest';
import { printable, printableJson } from '../../shared/printable.ts';

test.for([
  ['plain, Grüße, 日本語, 🔑', 'plain, Grüße, 日本語, 🔑'],
  ['\u001b[2J\u001b]0;title\u0007', '\\u001b[2J\\u001b]0;title\\u0007'],
  ['one\r\ntwo\tthree\u0000', 'one\\u000d\\u000atwo\\u0009three\\u0000'],
  ['\u009b31m', '\\u009b31m'],
  ['user\u202etxt.exe', 'user\\u202etxt.exe'],
  ['zero\u200bwidth\ufeff', 'zero\\u200bwidth\\ufeff'],
  ['\u2028\u2029', '\\u2028\\u2029'],
  ['tag \u{e0041}', 'tag \\u{e0041}'],
  ['half \ud83d pair', 'half \ufffd pair'],
  ['C:\\u001b', 'C:\\u001b'],
] as const)('%j', ([text, shown]) => {
  expect(printable(text)).toBe(shown);
});

test('JSON is read back as it was, and shows nothing that a terminal would obey', () => {
  const value = { text: 'a\u001b\u009b\u202e\u2028\u{e0041}\\u0041"🔑', list: [null, 1] };
  const json = printableJson(value);
  expect(JSON.parse(json)).toEqual(value);
  expect(json).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
});
