import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import type { ClientBase } from 'pg';
import { from as copyFromStream, to as copyToStream } from 'pg-copy-streams';
import { PipelineError } from '../shared/errors.ts';

/**
 * A server that neither sends nor takes a byte for so long is gone. Sorting a big table before its first row takes minutes, so
 * this is generous; a dead peer is found by TCP.
 */
const silentServerMs = 600_000;

/**
 * pg's own limit on a query knows nothing of streams, and would cut a long one off. This is the longest a timer can be; pg takes
 * it away when the stream's `callback` is called.
 */
const withoutQueryTimeout = { query_timeout: 2 ** 31 - 1, callback: () => {} };

/**
 * `copy … to stdout` as it comes, no faster than it is read. **Whoever stops before the end leaves the connection unusable**, and so does
 * an error that is not the server's.
 */
export async function* copyTo(client: ClientBase, text: string): AsyncGenerator<Buffer, void, undefined> {
  const stream = Object.assign(copyToStream(text), withoutQueryTimeout);
  // A connection that ends later has no more to say to it.
  stream.on('error', () => {});
  client.query(stream);
  const watch = new Watch(stream);
  try {
    // The stream is one of bytes; Node does not type its chunks.
    const chunks = (stream as Readable)[Symbol.asyncIterator]() as AsyncIterator<Buffer, void>;
    for (;;) {
      watch.start();
      const next = await chunks.next();
      watch.stop();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    watch.stop();
    stream.callback();
    stream.destroy();
  }
}

/** What was to be copied in could not be read: the reason is its cause, and the connection is as good as before. */
export class SourceFailed extends Error {}

/**
 * `copy … from stdin` of `content`, no faster than the server takes it. Resolves with the number of rows. When `content` throws, the
 * statement fails and SourceFailed is thrown.
 */
export async function copyFrom(
  client: ClientBase,
  text: string,
  content: AsyncIterable<Uint8Array>,
): Promise<number> {
  const stream = Object.assign(copyFromStream(text), withoutQueryTimeout);
  stream.on('error', () => {});
  client.query(stream);
  const watch = new Watch(stream);
  const failed: unknown[] = [];
  async function* watched() {
    try {
      for await (const chunk of content) {
        watch.start();
        yield chunk;
        watch.stop();
      }
    } catch (error) {
      failed.push(error);
      // This one's text, not its cause's, goes into the server's log.
      throw new Error('the source failed', { cause: error });
    }
    watch.start();
  }
  try {
    await pipeline(watched(), stream);
    return stream.rowCount;
  } catch (error) {
    throw failed.length > 0 ? new SourceFailed('the source failed', { cause: failed[0] }) : error;
  } finally {
    watch.stop();
    stream.callback();
  }
}

/** Ends a stream whose server is silent while it is watched. */
class Watch {
  readonly #stream: { destroy(error: Error): unknown };
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: { destroy(error: Error): unknown }) {
    this.#stream = stream;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#stream.destroy(new PipelineError('DATABASE_UNAVAILABLE', 'the server is silent'));
    }, silentServerMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
