/**
 * Bytes that are written over and over, and views of their beginnings that are made once: libsodium's binding takes lengths from views, and a new
 * one costs as much as sealing a short text. **What it hands out is good until it is written again.**
 */
export class Scratch {
  readonly #bytes: Buffer;
  readonly #views: Buffer[] = [];

  constructor(size: number) {
    this.#bytes = Buffer.alloc(size);
  }

  /** The first `length` bytes. */
  first(length: number): Buffer {
    if (length > this.#bytes.length) return Buffer.alloc(length);
    return (this.#views[length] ??= this.#bytes.subarray(0, length));
  }

  /** `text` in UTF-8, behind the first `at` bytes, which stay; a buffer of its own when there is no room. */
  write(text: string, at = 0): Buffer {
    const { length } = text;
    if (at + 3 * length > this.#bytes.length) {
      return Buffer.concat([this.#bytes.subarray(0, at), Buffer.from(text, 'utf8')]);
    }
    // Most text is short and ASCII: a call into C++ costs more than a loop.
    for (let i = 0; i < length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return this.first(at + this.#bytes.write(text, at, 'utf8'));
      this.#bytes[at + i] = unit;
    }
    return this.first(at + length);
  }
}
