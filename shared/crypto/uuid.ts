const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The canonical (lower-case) text of a UUID (RFC 9562), or undefined when it is none. Any version: SQS does not promise one. */
export function canonicalUuid(text: string): string | undefined {
  return text.length === 36 && pattern.test(text) ? text.toLowerCase() : undefined;
}

/** The value of a hexadecimal digit by its character code. */
const digits = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? 0 : value;
});

/** Writes the 16 bytes of a canonical UUID at `offset`. */
export function writeUuid(target: Buffer, uuid: string, offset: number): void {
  let at = offset;
  for (let i = 0; i < 36; i += 2) {
    if (i === 8 || i === 13 || i === 18 || i === 23) i += 1;
    target[at++] = (digit(uuid, i) << 4) | digit(uuid, i + 1);
  }
}

function digit(text: string, index: number): number {
  return digits[text.charCodeAt(index)] ?? 0;
}
