const dash = 45;

/** By character code: 1 for what a canonical UUID has, 2 for a capital that it has not. */
const kinds = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[0-9a-f]/.test(character)) return 1;
  return /[A-F]/.test(character) ? 2 : 0;
});

/** The canonical (lower-case) text of a UUID (RFC 9562), or undefined when it is none. Any version: SQS does not promise one. */
export function canonicalUuid(text: string): string | undefined {
  if (text.length !== 36) return undefined;
  let seen = 0;
  for (let i = 0; i < 36; i += 1) {
    const unit = text.charCodeAt(i);
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (unit !== dash) return undefined;
      continue;
    }
    const kind = kinds[unit] ?? 0;
    if (kind === 0) return undefined;
    seen |= kind;
  }
  return seen === 1 ? text : text.toLowerCase();
}

/** The value of a hexadecimal digit by its character code. */
const digits = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? 0 : value;
});

/** An event's id is written several times in a row: into its column, and into what each field is bound to. */
const lastBytes = new Uint8Array(16);
let lastUuid = '';

/** Writes the 16 bytes of a canonical UUID at `offset`. */
export function writeUuid(target: Buffer, uuid: string, offset: number): void {
  if (uuid !== lastUuid) {
    for (let i = 0, at = 0; i < 36; i += 2) {
      if (i === 8 || i === 13 || i === 18 || i === 23) i += 1;
      lastBytes[at++] = (digit(uuid, i) << 4) | digit(uuid, i + 1);
    }
    lastUuid = uuid;
  }
  for (let i = 0; i < 16; i += 1) target[offset + i] = lastBytes[i] ?? 0;
}

function digit(text: string, index: number): number {
  return digits[text.charCodeAt(index)] ?? 0;
}
