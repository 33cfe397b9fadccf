import { PipelineError } from '../../shared/errors.ts';
import type { RecordConsumer } from '../../shared/kafka/ports.ts';
import type { Logger } from '../../shared/log.ts';
import { waitOut } from '../../shared/retry.ts';
import { Counters } from './counters.ts';
import type { EncodedBatch, Verdicts } from './encode.ts';
import { OffsetCommitter } from './offset-committer.ts';
import { makeDurable, type Steps } from './process-batch.ts';
import { Progress } from './progress.ts';
import { RecordQueue, type Slice } from './record-queue.ts';
import { Watermark } from './watermark.ts';

export interface WriterLimits {
  /** A batch is written when this many rows or bytes are waiting, or `lingerMs` after the first of them came. */
  readonly maxRecords: number;
  readonly maxBytes: number;
  readonly lingerMs: number;
  /** Fetched and waiting to be written: full means that fetching stops. */
  readonly queueBytes: number;
}

export interface WriterParts {
  readonly consumer: RecordConsumer;
  readonly steps: Steps;
  readonly limits: WriterLimits;
  readonly log: Logger;
  readonly classify: (error: unknown) => PipelineError;
  readonly counters?: Counters;
}

interface Job {
  readonly slices: readonly Slice[];
  readonly encoded: EncodedBatch;
  readonly verdicts: Verdicts;
  /** Mark the ranges of this batch durable in the watermark of the assignment they were read under. */
  readonly markDurable: readonly (() => void)[];
}

/**
 * Kafka → Postgres. The consumer fetches ahead into a bounded queue; batches are taken from it, and while one is being made
 * durable the next is encoded. **An offset is committed only after its rows, or its dead letter, are durable**, and never past a
 * record that is not. When the assignment changes, everything not yet taken is dropped and read again by whoever owns it.
 *
 * Runs until `stop` aborts: then what is being written is finished and committed, what is queued is left to the next owner.
 * @throws PipelineError of action `stop`.
 */
export async function runWriter(
  parts: WriterParts,
  signals: { stop: AbortSignal; force: AbortSignal },
): Promise<void> {
  const { consumer, log } = parts;
  const queue = new RecordQueue(parts.limits.queueBytes);
  const watermark = new Watermark();
  const committer = new OffsetCommitter(consumer, log);
  const progress = new Progress();
  const counters = parts.counters ?? new Counters();
  const ended = new AbortController();
  const stop = AbortSignal.any([signals.stop, ended.signal]);
  const giveUp = AbortSignal.any([signals.force, ended.signal]);
  const endSummaries = counters.summarise(log, () => ({
    queuedRecords: queue.records,
    queuedBytes: queue.bytes,
  }));

  const persist = <T>(what: string, attempt: () => Promise<T>, signal = giveUp): Promise<T> =>
    waitOut(
      () => {
        progress.touch();
        return attempt();
      },
      { what, log, signal, classify: parts.classify },
    );
  const steps: Steps = {
    encode: (slices, verdicts) => persist('keys', () => parts.steps.encode(slices, verdicts)),
    publishDead: (dead) =>
      progress.whileWaiting(persist('dead letters', () => parts.steps.publishDead(dead))),
    insert: (batch) => persist('Postgres', () => parts.steps.insert(batch)),
  };

  const consuming = consumer
    .run({
      onBatch: (batch, heartbeat) =>
        queue.offer(batch, async () => {
          progress.assertAlive();
          await heartbeat();
        }),
      onAssigned: (partitions) => {
        queue.clear();
        watermark.reset();
        committer.reset();
        log.info({ partitions: [...partitions].sort((a, b) => a - b) }, 'assigned');
      },
    })
    .finally(() => ended.abort());

  const finish = async (job: Job): Promise<void> => {
    const ledger = await makeDurable(steps, job.slices, job.encoded, job.verdicts);
    for (const mark of job.markDurable) mark();
    counters.add(ledger);
    progress.touch();
    committer.advance(watermark.position);
  };

  const writing = (async () => {
    let finishing: Promise<void> = Promise.resolve();
    try {
      for (;;) {
        const taken = await queue.take(parts.limits, stop);
        if (taken === undefined) break;
        if (taken.generation !== queue.generation) continue;
        const { slices } = taken;
        progress.touch();
        const markDurable = slices.map(({ partition, records }) =>
          watermark.take(partition, lastOffset(records)),
        );
        const verdicts: Verdicts = new Map();
        const encoded = await persist('keys', () => parts.steps.encode(slices, verdicts), stop);
        await finishing;
        finishing = finish({ slices, encoded, verdicts, markDurable });
        finishing.catch(() => ended.abort());
      }
      await finishing;
    } catch (error) {
      if (!isOutage(error) || !signals.stop.aborted) throw error;
      log.warn('stopped during an outage: what was not written is read again');
    } finally {
      ended.abort();
      queue.close();
      await finishing.catch(() => undefined);
      await committer.flush();
      await consumer.stop();
    }
  })();

  try {
    await settle([consuming, writing]);
  } finally {
    endSummaries();
  }
}

function lastOffset(records: Slice['records']): bigint {
  return records.at(-1)?.offset ?? -1n;
}

function isOutage(error: unknown): boolean {
  return error instanceof PipelineError && error.action === 'retry';
}

/** Waits for both; the first failure is the one to tell. */
async function settle(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}
