import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { EncodedBatch } from '../../../db/rows/encode.ts';
import type { Steps } from '../../../db/rows/process-batch.ts';
import { runWriter } from '../../../services/writer/writer.ts';
import { PipelineError } from '../../../shared/errors.ts';
import type { ConsumerHandlers, Position, RecordConsumer } from '../../../shared/kafka/ports.ts';
import { settled } from '../../helpers/virtual-time.ts';
import { rowColumns, texts, textsOf } from '../../helpers/row-columns.ts';

/** A consumer whose assignments and batches are the test's. */
class DirectedConsumer implements RecordConsumer {
  readonly committed: Position[] = [];
  readonly #handlers = Promise.withResolvers<ConsumerHandlers>();
  readonly #ended = Promise.withResolvers<void>();

  run(handlers: ConsumerHandlers): Promise<void> {
    this.#handlers.resolve(handlers);
    return this.#ended.promise;
  }

  async commit(position: Position): Promise<void> {
    this.committed.push(new Map(position));
  }

  async stop(): Promise<void> {
    this.#ended.resolve();
  }

  async assign(...partitions: number[]): Promise<void> {
    (await this.#handlers.promise).onAssigned(partitions);
  }

  async deliver(partition: number, from: number, to: number): Promise<void> {
    const records = Array.from({ length: to - from + 1 }, (_, i) => ({
      offset: BigInt(from + i),
      key: Buffer.from(`${partition}/${from + i}`),
      value: Buffer.alloc(1),
      timestampMs: 1,
      headers: {},
    }));
    const handlers = await this.#handlers.promise;
    await handlers.onBatch({ topic: 'raw', partition, records, highWatermark: 100n }, async () => {});
  }
}

/** Steps that note which records they are given, and wait before they write. */
function noting(gate: Promise<void>) {
  const written: string[] = [];
  const steps: Steps = {
    async encode(slices): Promise<EncodedBatch> {
      const eventId = slices.flatMap(({ records }) => records.map(({ key }) => key.toString()));
      const rows = rowColumns({ eventId: texts(...eventId) });
      return { rows, partitions: eventId.map(() => 0), dead: [], filtered: [], ledger: [] };
    },
    publishDead: async () => {},
    refused: async () => [],
    async insert(batch) {
      await gate;
      written.push(...textsOf(batch.rows.eventId));
      return [];
    },
  };
  return { written, steps };
}

test('what was queued under an assignment is neither written nor committed under the next', async () => {
  const consumer = new DirectedConsumer();
  const gate = Promise.withResolvers<void>();
  const { written, steps } = noting(gate.promise);
  const stop = new AbortController();
  const done = runWriter(
    {
      consumer,
      steps,
      // A batch is being written, the next is encoded, and everything else waits in the queue.
      limits: { maxRecords: 2, maxBytes: 1e6, lingerMs: 0, queueBytes: 1e6 },
      log: pino({ level: 'silent' }),
      classify: (error) => (error instanceof PipelineError ? error : new PipelineError('INTERNAL')),
    },
    { stop: stop.signal, force: new AbortController().signal },
  );
  await consumer.assign(0, 1);
  await consumer.deliver(0, 0, 1);
  await settled();
  await consumer.deliver(0, 2, 3);
  await settled();
  await consumer.deliver(0, 4, 9);
  await consumer.deliver(1, 0, 9);
  await settled();
  // Partition 0 goes to somebody else, and so its queued records do; partition 1 is read again from its committed offset.
  await consumer.assign(1);
  await consumer.deliver(1, 0, 1);
  gate.resolve();
  await settled();
  stop.abort();
  await done;
  expect(written.filter((id) => id.startsWith('0/'))).toEqual(['0/0', '0/1', '0/2', '0/3']);
  expect(written.filter((id) => id.startsWith('1/'))).toEqual(['1/0', '1/1']);
  // What was being written is durable, but it is no longer ours to say so.
  expect(consumer.committed.flatMap((position) => Array.from(position))).toEqual([[1, 2n]]);
});
