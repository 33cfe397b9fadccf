import { PipelineError } from '../errors.ts';
import type { Pepper } from '../vault/ports.ts';
import { writeUtf8 } from '../utf8.ts';
import { wipe } from './sealed-box.ts';
import { sodiumHeap } from './sodium-heap.ts';

/** Of a digest of 16 bytes in base64url. */
const digestCharacters = 22;
const base64url = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

/**
 * Deterministic tokens, so that analysts join and count without seeing a value: equal values of one column are equal.
 *
 * `t<epoch>:` + base64url, unpadded, of BLAKE2b-128 keyed with the pepper over `column | 00 | canonical value`: 22 characters
 * after the colon. Keyed, because an unkeyed hash of an IPv4 address is undone by trying them all.
 */
export class Tokenizer {
  readonly epoch: number;
  readonly #key: Buffer;
  readonly #prefix: Buffer;
  /** `column | 00`, in bytes. */
  readonly #inputPrefixes = new Map<string, Buffer>();
  #retired = false;

  /** Takes over the pepper's key (32 bytes, from sodium_malloc) and wipes it on {@link retire}. */
  constructor(pepper: Pepper) {
    this.epoch = pepper.epoch;
    this.#key = pepper.key;
    this.#prefix = Buffer.from(tokenPrefix(pepper.epoch));
  }

  get retired(): boolean {
    return this.#retired;
  }

  /** How long every token of this epoch is, in bytes, which are ASCII. */
  get tokenBytes(): number {
    return this.#prefix.length + digestCharacters;
  }

  /** @throws PipelineError INTERNAL once retired */
  token(column: string, value: string): string {
    const token = Buffer.allocUnsafe(this.tokenBytes);
    this.tokenInto(token, 0, column, value);
    return token.toString('latin1');
  }

  /**
   * {@link token} into `target` at `at`, where there are {@link tokenBytes}. @returns where it ends
   * @throws PipelineError INTERNAL
   */
  tokenInto(target: Buffer, at: number, column: string, value: string): number {
    if (this.#retired) throw new PipelineError('INTERNAL', 'a retired pepper makes no tokens');
    const { bytes, text, digest } = sodiumHeap;
    if (3 * (column.length + value.length) > sodiumHeap.textBytes)
      throw new PipelineError('INTERNAL', 'too long for a token');
    let prefix = this.#inputPrefixes.get(column);
    if (prefix === undefined) {
      prefix = Buffer.from(`${column}\u0000`);
      this.#inputPrefixes.set(column, prefix);
    }
    bytes.set(prefix, text);
    const length = prefix.length + writeUtf8(bytes, text + prefix.length, value);
    sodiumHeap.hash(length, this.#key);
    target.set(this.#prefix, at);
    return writeBase64url(target, at + this.#prefix.length, bytes, digest);
  }

  /** Wipes the pepper. */
  retire(): void {
    this.#retired = true;
    wipe(this.#key);
  }
}

/** Of 16 bytes at `digest`, unpadded. @returns where it ends */
function writeBase64url(target: Buffer, start: number, bytes: Buffer, digest: number): number {
  let at = start;
  for (let i = digest; i < digest + 15; i += 3) {
    const three = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    target[at] = base64url[three >> 18] ?? 0;
    target[at + 1] = base64url[(three >> 12) & 63] ?? 0;
    target[at + 2] = base64url[(three >> 6) & 63] ?? 0;
    target[at + 3] = base64url[three & 63] ?? 0;
    at += 4;
  }
  const last = bytes[digest + 15] ?? 0;
  target[at] = base64url[last >> 2] ?? 0;
  target[at + 1] = base64url[(last & 3) << 4] ?? 0;
  return at + 2;
}

/** What every token of an epoch starts with: `tokenPrefix(3)` → `"t3:"`. */
export function tokenPrefix(epoch: number): string {
  return `t${epoch}:`;
}
