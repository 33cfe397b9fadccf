/**
 * fauxqs 2.4 keeps waiting messages in an array and takes them from its front. Beyond 16,384 elements V8 moves all the others for each one that is
 * taken: with 100,000 waiting, **three quarters of the server's time**, for whoever reads the queue. So its queues get a {@link Fifo}.
 *
 * @throws TypeError when fauxqs is not the one that was expected
 */
export async function mendBacklog(): Promise<void> {
  const store: unknown = await import(new URL('./sqs/sqsStore.js', import.meta.resolve('fauxqs')).href);
  if (!hasQueueClass(store)) throw new TypeError('this is not the fauxqs that was expected');
  const { prototype } = store.SqsQueue;
  const { dequeue } = prototype;
  prototype.dequeue = function dequeueFromBacklog(...given) {
    // It was an array when the queue was made, and is one again once it was purged.
    if (Array.isArray(this.messages)) this.messages = new Fifo(this.messages);
    return dequeue.apply(this, given);
  };
}

interface Queue {
  messages: Iterable<unknown>;
}

function hasQueueClass(
  module: unknown,
): module is { SqsQueue: { prototype: { dequeue: (this: Queue, ...given: unknown[]) => unknown } } } {
  if (typeof module !== 'object' || module === null || !('SqsQueue' in module)) return false;
  const { SqsQueue } = module;
  return typeof SqsQueue === 'function' && typeof SqsQueue.prototype?.dequeue === 'function';
}

/** What fauxqs asks of its array of messages, first in, first out; each is moved once at most. */
export class Fifo<T> implements Iterable<T> {
  #items: (T | undefined)[];
  #first = 0;

  constructor(items: readonly T[] = []) {
    this.#items = [...items];
  }

  get length(): number {
    return this.#items.length - this.#first;
  }

  push(item: T): number {
    this.#items.push(item);
    return this.length;
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first] = undefined;
    this.#first += 1;
    if (this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = this.#first; i < this.#items.length; i += 1) {
      const item = this.#items[i];
      if (item !== undefined) yield item;
    }
  }
}
