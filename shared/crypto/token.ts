import sodium from 'sodium-native';
import type { Pepper } from '../vault/ports.ts';

const tokenBytes = 16;

/**
 * Deterministic tokens, so that analysts join and count without seeing a value: equal values of one column are equal.
 *
 * `t<epoch>:` + base64url, unpadded, of BLAKE2b-128 keyed with the pepper over `column | 00 | canonical value`: 22 characters
 * after the colon. Keyed, because an unkeyed hash of an IPv4 address is undone by trying them all.
 */
export class Tokenizer {
  readonly #pepper: Pepper;
  readonly #prefix: string;
  readonly #digest = Buffer.alloc(tokenBytes);

  constructor(pepper: Pepper) {
    this.#pepper = pepper;
    this.#prefix = `t${pepper.epoch}:`;
  }

  token(column: string, value: string): string {
    sodium.crypto_generichash(this.#digest, Buffer.from(`${column}\u0000${value}`, 'utf8'), this.#pepper.key);
    return this.#prefix + this.#digest.toString('base64url');
  }
}
