import { vi } from 'vitest';
import { runConnector, type ConnectorDeps } from '../../../services/connector/connector.ts';
import type { Counts } from '../../../services/connector/held.ts';
import type { RecordProducer } from '../../../shared/kafka/ports.ts';
import { FakeKafka, type Fate } from '../../helpers/fake-kafka.ts';
import { FakeQueue } from '../../helpers/fake-queue.ts';
import { recordingLogger } from './fixtures.ts';

export const topic = 'raw';

export interface Harness {
  readonly queue: FakeQueue;
  readonly kafka: FakeKafka;
  readonly lines: Record<string, unknown>[];
  /** Keys (MessageIds on a standard queue) whose record the producer's answer has acknowledged. */
  readonly acknowledged: Set<string>;
  /** What the producer makes of the next batches. */
  fate: () => Fate;
  start(): void;
  stop(): void;
  force(): void;
  /** What became of it, once it has ended. */
  ended(): Promise<{ counts: Counts } | { error: unknown }>;
  /** Texts on the topic, by partition. */
  records(): string[][];
}

/** The connector between fakes, under vitest's fake timers. */
export function harness(
  options: Partial<ConnectorDeps> & { fifo?: boolean; visibilityTimeoutSeconds?: number } = {},
): Harness {
  const queue = new FakeQueue({
    clock: Date.now,
    fifo: options.fifo ?? false,
    visibilityTimeoutSeconds: options.visibilityTimeoutSeconds ?? 30,
  });
  const kafka = new FakeKafka();
  kafka.createTopic(topic, 4);
  const { log, lines } = recordingLogger();
  const stop = new AbortController();
  const force = new AbortController();
  const acknowledged = new Set<string>();
  const inner = kafka.producer(() => made.fate());
  const producer: RecordProducer = {
    ...inner,
    send: async (to, batches) => {
      const acks = await inner.send(to, batches);
      acks.forEach((ack, i) => {
        if (!('baseOffset' in ack)) return;
        for (const record of batches[i]?.records ?? []) acknowledged.add(record.key.toString());
      });
      return acks;
    },
  };
  let run: Promise<{ counts: Counts } | { error: unknown }> | undefined;
  const made: Harness = {
    queue,
    kafka,
    lines,
    acknowledged,
    fate: () => 'ack',
    start: () => {
      run = runConnector(
        {
          queue,
          producer,
          sealer: undefined,
          log,
          clock: Date.now,
          topic,
          receivers: 4,
          lingerMs: 5,
          maxMessages: 1_000,
          maxBytes: 64 * 1_048_576,
          ...options,
        },
        { stop: stop.signal, force: force.signal },
      ).then(
        (counts) => ({ counts }),
        (error: unknown) => ({ error }),
      );
    },
    stop: () => stop.abort(),
    force: () => force.abort(),
    ended: async () => {
      if (run === undefined) throw new Error('not started');
      let over = false;
      void run.then(() => (over = true));
      for (let i = 0; i < 600 && !over; i++) await vi.advanceTimersByTimeAsync(100);
      if (!over) throw new Error('still running after a minute of fake time');
      return run;
    },
    records: () => kafka.partitions(topic).map((log) => log.map((record) => record.value.toString())),
  };
  return made;
}

/** Stops it and returns its counts. */
export async function drain(connector: Harness): Promise<Counts> {
  connector.stop();
  const end = await connector.ended();
  if ('error' in end) throw end.error;
  return end.counts;
}
