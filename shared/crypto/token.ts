import sodium from 'sodium-native';
import { PipelineError } from '../errors.ts';
import type { Pepper } from '../vault/ports.ts';
import { Scratch } from './scratch.ts';
import { wipe } from './sealed-box.ts';

const tokenBytes = 16;

const input = new Scratch(2_048);

/**
 * Deterministic tokens, so that analysts join and count without seeing a value: equal values of one column are equal.
 *
 * `t<epoch>:` + base64url, unpadded, of BLAKE2b-128 keyed with the pepper over `column | 00 | canonical value`: 22 characters
 * after the colon. Keyed, because an unkeyed hash of an IPv4 address is undone by trying them all.
 */
export class Tokenizer {
  readonly epoch: number;
  readonly #key: Buffer;
  readonly #prefix: string;
  readonly #digest = Buffer.alloc(tokenBytes);
  #retired = false;

  /** Takes over the pepper's key (32 bytes, from sodium_malloc) and wipes it on {@link retire}. */
  constructor(pepper: Pepper) {
    this.epoch = pepper.epoch;
    this.#key = pepper.key;
    this.#prefix = tokenPrefix(pepper.epoch);
  }

  get retired(): boolean {
    return this.#retired;
  }

  token(column: string, value: string): string {
    if (this.#retired) throw new PipelineError('INTERNAL', 'a retired pepper makes no tokens');
    sodium.crypto_generichash(this.#digest, input.write(value, prefixLength(column)), this.#key);
    return this.#prefix + this.#digest.toString('base64url');
  }

  /** Wipes the pepper. */
  retire(): void {
    this.#retired = true;
    wipe(this.#key);
  }
}

/** Puts `column | 00` at the beginning of the input. @returns its length */
function prefixLength(column: string): number {
  return input.write(`${column}\u0000`).length;
}

/** What every token of an epoch starts with: `tokenPrefix(3)` → `"t3:"`. */
export function tokenPrefix(epoch: number): string {
  return `t${epoch}:`;
}
