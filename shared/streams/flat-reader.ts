const char = {
  quote: 34,
  comma: 44,
  colon: 58,
  backslash: 92,
  openBrace: 123,
  closeBrace: 125,
} as const;

const nullLiteral = Buffer.from('null');

export interface FlatObject {
  /** By the reader's names, in their order; undefined where there is none. */
  readonly values: readonly (string | null | undefined)[];
  readonly unknownFields: number;
}

/**
 * Reads JSON of the shape that senders make: one object without blanks, `{"name":"value","other":null}`, all of it ASCII and nothing escaped. One
 * pass over the bytes takes a third of what `JSON.parse` and the checks around it do. **Everything else is undefined here**, also what is no JSON:
 * then `parseBody` has to look. What is read is what that would find: test/shared/streams/flat-reader.property.test.ts.
 */
export class FlatReader {
  readonly #names: readonly Buffer[];
  readonly #none: readonly undefined[];

  constructor(names: readonly string[]) {
    this.#names = names.map((name) => Buffer.from(name));
    this.#none = names.map(() => undefined);
  }

  read(body: Buffer): FlatObject | undefined {
    const end = body.length - 1;
    if (body[0] !== char.openBrace || body[end] !== char.closeBrace) return undefined;
    const text = body.toString('latin1');
    const values: (string | null | undefined)[] = this.#none.slice();
    let unknownFields = 0;
    for (let at = 1; at < end; at += 1) {
      const nameEnd = endOfString(body, at, end);
      if (nameEnd === -1 || body[nameEnd + 1] !== char.colon) return undefined;
      const field = this.#fieldOf(body, at + 1, nameEnd);
      const start = nameEnd + 2;
      const valueEnd = body[start] === char.quote ? endOfString(body, start, end) : -1;
      const isNull = valueEnd === -1 && isNullLiteral(body, start);
      if (valueEnd === -1 && !isNull) return undefined;
      if (field === -1) {
        // Two of one name are refused: of unknown names nobody keeps a list.
        if (unknownFields === 1) return undefined;
        unknownFields += 1;
      } else {
        if (values[field] !== undefined) return undefined;
        values[field] = isNull ? null : text.slice(start + 1, valueEnd);
      }
      at = isNull ? start + nullLiteral.length : valueEnd + 1;
      if (at === end) return { values, unknownFields };
      if (body[at] !== char.comma) return undefined;
    }
    return undefined;
  }

  #fieldOf(body: Buffer, start: number, end: number): number {
    for (let i = 0; i < this.#names.length; i += 1) {
      const name = this.#names[i];
      if (name?.length === end - start && isAt(body, start, name)) return i;
    }
    return -1;
  }
}

/** The closing quote of the string that opens at `start`; -1 when there is none before `end`, or anything is in it but ASCII as it stands for itself. */
function endOfString(body: Buffer, start: number, end: number): number {
  if (body[start] !== char.quote) return -1;
  for (let i = start + 1; i < end; i += 1) {
    const byte = body[i] ?? 0;
    if (byte === char.quote) return i;
    if (byte < 0x20 || byte > 0x7f || byte === char.backslash) return -1;
  }
  return -1;
}

function isNullLiteral(body: Buffer, at: number): boolean {
  return isAt(body, at, nullLiteral);
}

function isAt(body: Buffer, at: number, bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i += 1) if (body[at + i] !== bytes[i]) return false;
  return true;
}
