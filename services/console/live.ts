import type { ServerResponse } from 'node:http';
import { sleep } from '../../shared/lifecycle.ts';
import { safeHeaders } from './admission.ts';
import type { Snapshot } from './look/snapshot.ts';

/** Pages that are open at once; each holds a connection. */
const maxListeners = 24;
const everyMs = 2_000;
/** A browser whose connection breaks asks again after so long. */
const retryMs = 2_000;

/**
 * Hands what is seen to every open page, as server-sent events (html.spec.whatwg.org, "Server-sent events"): an event a look, the latest at once.
 * **While no page is open nothing is looked at.** A page that does not read is left out until it does.
 */
export class Live implements AsyncDisposable {
  readonly #look: () => Promise<Snapshot>;
  readonly #listeners = new Set<ServerResponse>();
  readonly #stop = new AbortController();
  #last: { readonly text: string; readonly atMs: number } | undefined;
  #looking: Promise<void> | undefined;

  constructor(look: () => Promise<Snapshot>) {
    this.#look = look;
  }

  /** Keeps `response` open, until the browser or {@link stop} closes it. False when there are too many. */
  listen(response: ServerResponse): boolean {
    if (this.#listeners.size >= maxListeners || this.#stop.signal.aborted) return false;
    response.writeHead(200, {
      ...safeHeaders,
      'content-type': 'text/event-stream; charset=utf-8',
      // For a proxy that would wait for more.
      'x-accel-buffering': 'no',
    });
    response.write(`retry: ${retryMs}\n\n`);
    if (this.#last !== undefined && Date.now() - this.#last.atMs < 2 * everyMs)
      response.write(this.#last.text);
    this.#listeners.add(response);
    response.once('close', () => this.#listeners.delete(response));
    this.#looking ??= this.#run().finally(() => (this.#looking = undefined));
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const listener of this.#listeners) listener.end();
    await this.#looking;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (this.#listeners.size > 0 && !signal.aborted) {
      const snapshot = await this.#look();
      // JSON has no line breaks: one line of data.
      const text = `data: ${JSON.stringify(snapshot)}\n\n`;
      this.#last = { text, atMs: snapshot.atMs };
      for (const listener of this.#listeners) if (!listener.writableNeedDrain) listener.write(text);
      await sleep(everyMs, signal);
    }
  }
}
