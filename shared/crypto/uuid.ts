const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The canonical (lower-case) text of a UUID (RFC 9562), or undefined when it is none. Any version: SQS does not promise one. */
export function canonicalUuid(text: string): string | undefined {
  return text.length === 36 && pattern.test(text) ? text.toLowerCase() : undefined;
}

/** Writes the 16 bytes of a canonical UUID at `offset`. */
export function writeUuid(target: Buffer, uuid: string, offset: number): void {
  target.write(uuid.slice(0, 8), offset, 'hex');
  target.write(uuid.slice(9, 13), offset + 4, 'hex');
  target.write(uuid.slice(14, 18), offset + 6, 'hex');
  target.write(uuid.slice(19, 23), offset + 8, 'hex');
  target.write(uuid.slice(24), offset + 10, 'hex');
}
