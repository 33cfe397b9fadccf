import { isUtf8 } from 'node:buffer';
import type { Refusal } from './stream.ts';

/** Deeper nesting is refused: no message of ours nests at all, and recursion on hostile depth is how parsers die. */
const maxDepth = 32;

/** A JSON object as text gave it; own properties only, whatever their names. */
export type JsonObject = Readonly<Record<string, unknown>>;

export interface ParsedBody {
  readonly object: JsonObject;
  /** How many it has. */
  readonly keys: number;
  /** Nothing in it is escaped. Then no string has a null character or half a surrogate pair: JSON has them escaped only, and UTF-8 has no such half. */
  readonly plain: boolean;
}

/**
 * Bytes → JSON object, refusing what `JSON.parse` would silently change: bytes that are not UTF-8 (they would become
 * U+FFFD), a key named twice (the last would win), extreme depth.
 */
export function parseBody(body: Buffer): ParsedBody | { refusal: Refusal } {
  if (body.length === 0) return refuse('BODY_EMPTY');
  if (!isUtf8(body)) return refuse('BODY_NOT_UTF8');
  const text = body.toString('utf8');
  const shape = scan(text);
  if (shape.depth > maxDepth) return refuse('BODY_TOO_DEEP');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse('BODY_NOT_JSON');
  }
  if (!isObject(value)) return refuse('BODY_NOT_OBJECT');
  if (Object.keys(value).length !== shape.topLevelKeys) return refuse('BODY_DUPLICATE_KEY');
  return { object: value, keys: shape.topLevelKeys, plain: !text.includes('\\') };
}

function refuse(code: Refusal['code']): { refusal: Refusal } {
  return { refusal: { code } };
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const char = {
  quote: 34,
  colon: 58,
  backslash: 92,
  openBracket: 91,
  closeBracket: 93,
  openBrace: 123,
  closeBrace: 125,
};

/**
 * One pass over the text: how deep it nests, and how many keys the outermost object names, counted as colons outside
 * strings at depth one. Exact for valid JSON; for anything else `JSON.parse` has the last word.
 */
function scan(text: string): { depth: number; topLevelKeys: number } {
  let depth = 0;
  let deepest = 0;
  let topLevelKeys = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case char.quote:
        i = endOfString(text, i);
        break;
      case char.colon:
        if (depth === 1) topLevelKeys += 1;
        break;
      case char.openBrace:
      case char.openBracket:
        depth += 1;
        if (depth > deepest) deepest = depth;
        break;
      case char.closeBrace:
      case char.closeBracket:
        depth -= 1;
        break;
      default:
    }
  }
  return { depth: deepest, topLevelKeys };
}

/** The index of the closing quote of the string that opens at `start`, or the text's end when there is none. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === char.backslash) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}
