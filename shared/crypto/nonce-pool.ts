import { randomFillSync } from 'node:crypto';

/**
 * Random nonces, drawn from the system's generator a few hundred at a time: a call per nonce costs as much as
 * sealing a short field. **No byte is ever handed out twice**; at 192 bits random nonces do not collide.
 */
export class NoncePool {
  readonly #nonceBytes: number;
  readonly #pool: Buffer;
  #next: number;

  constructor(nonceBytes: number, nonces = 256) {
    this.#nonceBytes = nonceBytes;
    this.#pool = Buffer.alloc(nonceBytes * nonces);
    this.#next = this.#pool.length;
  }

  /** Writes the next nonce into `target` at `at`. */
  next(target: Buffer, at: number): void {
    if (this.#next === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#next = 0;
    }
    this.#pool.copy(target, at, this.#next, this.#next + this.#nonceBytes);
    this.#next += this.#nonceBytes;
  }
}
