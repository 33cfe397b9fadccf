/**
 * Whether the queue holds more than is being taken from it: the last answers, two of each receiver, were as full as they could be. **What
 * comes out of a backlog has waited already**, and a few milliseconds more are worth fewer and fuller requests to Kafka.
 */
export class Backlog {
  readonly #needed: number;
  #full = 0;

  constructor(receivers: number) {
    this.#needed = 2 * receivers;
  }

  /** An answer had so many messages of those asked for. */
  received(messages: number, asked: number): void {
    this.#full = messages < asked ? 0 : this.#full + 1;
  }

  get deep(): boolean {
    return this.#full >= this.#needed;
  }
}
