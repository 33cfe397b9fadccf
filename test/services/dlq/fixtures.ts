import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { toFilter, type FilterOptions } from '../../../shared/streams/selection.ts';
import { redrive, type RedriveOptions, type RedriveReport } from '../../../services/dlq/redrive.ts';
import type { DeadLetterCode } from '../../../shared/errors.ts';
import type { KafkaClient } from '../../../shared/kafka/kafkajs-client.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import type { OutgoingRecord, RecordProducer } from '../../../shared/kafka/ports.ts';
import { toDeadLetter, type DeadLetterReason } from '../../../shared/streams/dead-letter.ts';
import { quiet } from '../connector/fixtures.ts';
import { createTopic, readAll, testKafkaClient } from '../../helpers/topics.ts';

export interface DeadTopic {
  readonly client: KafkaClient;
  readonly brokers: string;
  readonly rawTopic: string;
  readonly deadLetterTopic: string;
  /** Puts dead letters there, each of a source of its own; their event ids. */
  add(letters: readonly Partial<DeadSpec>[]): Promise<string[]>;
  append(topic: string, partition: number, records: readonly OutgoingRecord[]): Promise<void>;
  redrive(options?: Partial<RedriveOptions>, filter?: FilterOptions): Promise<RedriveReport>;
  /** What is on the raw topic now. */
  raw(): ReturnType<typeof readAll>;
}

export interface DeadSpec {
  readonly code: DeadLetterCode;
  readonly reason: Partial<DeadLetterReason>;
  readonly sentAtMs: number;
  readonly failedAtMs: number;
  readonly partition: number;
  readonly offset: bigint;
  readonly eventId: string;
}

export const sentAtMs = Date.parse('2026-11-20T12:00:00Z');

/** A pair of topics with dead letters that no writer made. */
export async function deadTopic(brokers: string): Promise<DeadTopic> {
  const client = testKafkaClient(brokers);
  const rawTopic = await createTopic(brokers, { partitions: 3 });
  const deadLetterTopic = await createTopic(brokers, { partitions: 3 });
  let nextOffset = 0n;
  const append = async (topic: string, partition: number, records: readonly OutgoingRecord[]) => {
    const producer = createRecordProducer(client);
    const [ack] = await producer.send(topic, [{ partition, records }]);
    expect(ack).toMatchObject({ baseOffset: expect.any(BigInt) });
    await producer.close();
  };
  return {
    client,
    brokers,
    rawTopic,
    deadLetterTopic,
    append,
    async add(letters) {
      const ids: string[] = [];
      const byPartition = new Map<number, OutgoingRecord[]>();
      for (const spec of letters) {
        const { partition = 0, eventId = randomUUID(), offset = nextOffset++ } = spec;
        ids.push(eventId);
        const record = {
          offset,
          key: Buffer.from(eventId),
          value: Buffer.from(`body of ${eventId}`),
          timestampMs: spec.sentAtMs ?? sentAtMs,
          headers: {},
        };
        const reason: DeadLetterReason = { code: spec.code ?? 'FIELD_TYPE', stage: 'parse', ...spec.reason };
        const source = { topic: rawTopic, partition, record };
        const dead = toDeadLetter(source, reason, spec.failedAtMs ?? sentAtMs + 60_000);
        byPartition.set(partition, [...(byPartition.get(partition) ?? []), dead]);
      }
      for (const [partition, records] of byPartition) await append(deadLetterTopic, partition, records);
      return ids;
    },
    async redrive(options = {}, filter = {}) {
      const producer = createRecordProducer(client);
      try {
        return await redriveWith(client, producer, rawTopic, deadLetterTopic, options, filter);
      } finally {
        await producer.close();
      }
    },
    raw: () => readAll(brokers, rawTopic),
  };
}

export function redriveWith(
  client: KafkaClient,
  producer: RecordProducer,
  rawTopic: string,
  deadLetterTopic: string,
  options: Partial<RedriveOptions> = {},
  filter: FilterOptions = {},
): Promise<RedriveReport> {
  return redrive(client, producer, {
    rawTopic,
    deadLetterTopic,
    filter: toFilter(filter),
    limit: Infinity,
    again: false,
    dryRun: false,
    perSecond: Infinity,
    signal: new AbortController().signal,
    log: quiet,
    clock: () => sentAtMs + 3_600_000,
    ...options,
  });
}
