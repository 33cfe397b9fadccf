import type { KafkaClient } from '../../../shared/kafka/kafkajs-client.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';
import { readRange, resolveRange, type OffsetRange } from '../../../shared/kafka/read-range.ts';
import { isDeadLetterCode, readDeadLetter, type DeadLetter } from '../../../shared/streams/dead-letter.ts';
import { RedriveIndex } from '../../../shared/streams/letter-index.ts';
import type { Clock } from '../../../shared/time.ts';
import type { DeadCode, DeadLettersLook } from './snapshot.ts';

/** Offsets read at the first look, of all partitions together: a second or so. "sluice dlq list" counts all there are. */
const readAtFirst = 40_000;
/** Letters remembered: each takes a few hundred bytes. */
const remembered = 60_000;
const hourMs = 3_600_000;

/** The dead-letter topic, read on from where it was read to; headers alone, and in no group. */
export class DeadLetterWatch {
  readonly #client: KafkaClient;
  readonly #topic: string;
  readonly #clock: Clock;
  readonly #redrives = new RedriveIndex();
  readonly #letters = new Map<string, DeadLetter>();
  /** Where reading goes on, by partition. */
  readonly #next = new Map<number, bigint>();
  #notRead = 0;

  constructor(client: KafkaClient, options: { readonly topic: string; readonly clock: Clock }) {
    this.#client = client;
    this.#topic = options.topic;
    this.#clock = options.clock;
  }

  /** @throws PipelineError of Kafka */
  async look(): Promise<DeadLettersLook> {
    const range = await resolveRange(this.#client, this.#topic);
    // Made anew: what is remembered is of another topic.
    if ([...this.#next].some(([partition, next]) => next > (range.get(partition)?.to ?? 0n))) this.#forget();
    const wanted = new Map([...range].map(([p, whole]) => [p, this.#left(p, whole, range.size)]));
    for await (const batch of readRange(this.#client, this.#topic, wanted)) {
      for (const record of batch.records) this.#take(record);
      this.#next.set(batch.partition, batch.nextOffset);
    }
    return this.#count();
  }

  #left(partition: number, { from, to }: OffsetRange, partitions: number): OffsetRange {
    const next = this.#next.get(partition);
    if (next !== undefined) return { from: next > from ? next : from, to };
    const most = BigInt(Math.ceil(readAtFirst / partitions));
    const start = to - from > most ? to - most : from;
    this.#notRead += Number(start - from);
    this.#next.set(partition, start);
    return { from: start, to };
  }

  #take(record: IncomingRecord): void {
    this.#redrives.add(record);
    const letter = readDeadLetter(record.headers);
    if (letter === undefined) return;
    this.#letters.set(letter.id, letter);
    if (this.#letters.size <= remembered) return;
    const [oldest] = this.#letters.keys();
    if (oldest !== undefined) this.#letters.delete(oldest);
    this.#notRead += 1;
  }

  #forget(): void {
    this.#next.clear();
    this.#letters.clear();
    this.#notRead = 0;
  }

  #count(): DeadLettersLook {
    const codes = new Map<string, { -readonly [K in keyof DeadCode]: DeadCode[K] }>();
    const since = this.#clock() - hourMs;
    const total = { open: 0, redriven: 0, lastHour: 0 };
    for (const letter of this.#letters.values()) {
      const code = isDeadLetterCode(letter.code) ? letter.code : 'OTHER';
      const count = codes.get(code) ?? { code, open: 0, redriven: 0, lastFailedMs: null };
      codes.set(code, count);
      const failedMs = Date.parse(letter.firstFailedAt);
      if (failedMs > (count.lastFailedMs ?? 0)) count.lastFailedMs = failedMs;
      const state = this.#redrives.has(letter) ? 'redriven' : 'open';
      count[state] += 1;
      total[state] += 1;
      if (state === 'open' && failedMs >= since) total.lastHour += 1;
    }
    const sorted = [...codes.values()].toSorted((a, b) => b.open - a.open || (a.code < b.code ? -1 : 1));
    return { topic: this.#topic, ...total, codes: sorted, notRead: this.#notRead };
  }
}
