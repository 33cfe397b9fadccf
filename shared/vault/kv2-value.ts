import { secureBuffer } from '../crypto/sealed-box.ts';

/*
 * Keys on their way to and from JSON as bytes that can be wiped: a string of JavaScript stays in memory until somebody else
 * needs the place.
 */

const alphabet = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const padding = 0x3d;
const quote = 0x22;
/** What a value is overwritten with, so that the text around it still parses. */
const blank = 0x41;
const sextets = new Map([...alphabet].map((byte, i) => [byte, i]));

const before = Buffer.from('{"options":{"cas":0},"data":{"value":"', 'latin1');
const after = Buffer.from('"}}', 'latin1');

/** The body of a write that makes a secret unless there is one. The caller wipes it. */
export function createBody(value: Buffer): Buffer {
  // Not of Node's shared pool: wiped whole.
  const body = Buffer.alloc(before.length + Math.ceil(value.length / 3) * 4 + after.length);
  before.copy(body);
  let at = before.length;
  for (let i = 0; i < value.length; i += 3) {
    const bytes = Math.min(3, value.length - i);
    const group = ((value[i] ?? 0) << 16) | ((value[i + 1] ?? 0) << 8) | (value[i + 2] ?? 0);
    for (let part = 0; part < 4; part++) {
      body[at++] = part > bytes ? padding : (alphabet[(group >> (18 - 6 * part)) & 63] ?? 0);
    }
  }
  after.copy(body, at);
  return body;
}

/**
 * Takes the first `"value":"…"` (base64) out of a JSON answer, into locked memory, and blanks it there. Undefined when there is none, or it
 * is not base64.
 */
export function takeValue(json: Buffer): Buffer | undefined {
  const name = json.indexOf('"value"');
  if (name === -1) return undefined;
  const start = /^"value"\s*:\s*"/.exec(json.toString('latin1', name, name + 32))?.[0].length;
  if (start === undefined) return undefined;
  const text = json.subarray(name + start, json.indexOf(quote, name + start));
  const value = decode(text);
  text.fill(blank);
  return value;
}

function decode(text: Buffer): Buffer | undefined {
  if (text.length === 0 || text.length % 4 !== 0) return undefined;
  const padded = text.at(-2) === padding ? 2 : text.at(-1) === padding ? 1 : 0;
  const value = secureBuffer((text.length / 4) * 3 - padded);
  let written = 0;
  for (let i = 0; i < text.length; i += 4) {
    let group = 0;
    for (let part = 0; part < 4; part++) {
      const isPadding = i + part >= text.length - padded;
      const sextet = isPadding ? 0 : sextets.get(text[i + part] ?? 0);
      if (sextet === undefined) return undefined;
      group = (group << 6) | sextet;
    }
    for (let shift = 16; shift >= 0 && written < value.length; shift -= 8) {
      value[written++] = (group >> shift) & 0xff;
    }
  }
  return value;
}
