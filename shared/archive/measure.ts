import { createHash } from 'node:crypto';
import type { Stored } from './place.ts';

/**
 * Content on its way into a place: counted and hashed, and **its own failure told apart from the place's**. Whoever reads a day
 * from Postgres must learn that Postgres failed, not that the archive did.
 */
export class Measured implements AsyncIterable<Uint8Array> {
  readonly #content: AsyncIterable<Uint8Array>;
  readonly #hash = createHash('sha256');
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(content: AsyncIterable<Uint8Array>) {
    this.#content = content;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const source = this.#content[Symbol.asyncIterator]();
    let open = true;
    try {
      for (;;) {
        const { done, value } = await this.#next(source);
        if (done === true) {
          open = false;
          return;
        }
        this.#hash.update(value);
        this.#bytes += value.length;
        yield value;
      }
    } finally {
      if (open && this.#failure === undefined) await source.return?.();
    }
  }

  /** Here alone, for a reader that gives up throws its own error into the generator. */
  async #next(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    try {
      return await source.next();
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  /** What the content itself threw, if it did. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Once it has been read to its end. */
  stored(): Stored {
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }
}
