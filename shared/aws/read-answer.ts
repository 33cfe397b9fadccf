import { StringDecoder } from 'node:string_decoder';
import type { Dispatcher } from 'undici';
import { passedLarge } from '../large-garbage.ts';

/** The whole of an answer, its text as UTF-8. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Asked before the body of an answer is read, with its length in bytes where the service says it: false leaves it unread. Until it is
   * told, the answer waits in the sockets of both sides, not in our memory.
   */
  readonly admit?: ((bytes: number | undefined) => boolean | Promise<boolean>) | undefined;
}

/** Ten bodies of ordinary size are a hundredth of it. */
const largeBytes = 262_144;

/**
 * Sends a request and reads its answer, by undici's callbacks: `request()` makes a stream and promises for every answer, which is as much work as
 * all the rest of a small call. Undefined: it was not admitted, and is left unread.
 *
 * @throws what undici throws: a connection that broke, a time limit; the reason of `signal`
 */
export function readAnswer(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  options: ReadOptions = {},
): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    dispatcher.dispatch(request, new AnswerReader(options, resolve, reject));
  });
}

class AnswerReader implements Dispatcher.DispatchHandler {
  readonly #options: ReadOptions;
  readonly #resolve: (answer: Answer | undefined) => void;
  readonly #reject: (error: Error) => void;
  readonly #decoder = new StringDecoder();
  #controller: Dispatcher.DispatchController | undefined;
  #large = false;
  #over = false;
  #status = 0;
  #headers: Answer['headers'] = {};
  #text = '';

  constructor(
    options: ReadOptions,
    resolve: (answer: Answer | undefined) => void,
    reject: (error: Error) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    options.signal?.addEventListener('abort', this.#abort);
  }

  /** Once the request has a connection. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) this.#abort();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Answer['headers'],
  ): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    const length = lengthOf(headers['content-length']);
    this.#large = length === undefined || length >= largeBytes;
    const admitted = this.#options.admit?.(length) ?? true;
    if (admitted === true) return;
    controller.pause();
    void Promise.resolve(admitted)
      .then((yes) => {
        if (this.#over) return;
        if (yes) controller.resume();
        else this.#leave(controller);
      })
      .catch(this.#fail);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#text += this.#decoder.write(chunk);
    if (this.#large) passedLarge(chunk.length);
  }

  onResponseEnd(): void {
    if (this.#end()) {
      const text = this.#text + this.#decoder.end();
      this.#resolve({ status: this.#status, headers: this.#headers, text });
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error);
  }

  #leave(controller: Dispatcher.DispatchController): void {
    this.#end();
    this.#resolve(undefined);
    controller.abort(new Error('not admitted'));
  }

  /** A request that waits for a connection still is ended when it gets one. */
  readonly #abort = (): void => this.#fail(this.#options.signal?.reason);

  readonly #fail = (reason: unknown): void => {
    const error = reason instanceof Error ? reason : new Error('aborted');
    if (this.#end()) this.#reject(error);
    this.#controller?.abort(error);
  };

  /** False when it is over already. */
  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#options.signal?.removeEventListener('abort', this.#abort);
    return true;
  }
}

function lengthOf(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
