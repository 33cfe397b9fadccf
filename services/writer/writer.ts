import { setImmediate } from 'node:timers/promises';
import { PipelineError } from '../../shared/errors.ts';
import { Health } from '../../shared/health/health.ts';
import type { RecordConsumer } from '../../shared/kafka/ports.ts';
import type { Logger } from '../../shared/log.ts';
import { Outage } from '../../shared/outage.ts';
import { noTelemetry } from '../../shared/telemetry/telemetry.ts';
import { Counters } from './counters.ts';
import { DeadRatio, noDeadRatio } from './dead-ratio.ts';
import type { EncodedBatch, Slice, Verdicts } from '../../db/rows/encode.ts';
import { OffsetCommitter } from './offset-committer.ts';
import { WriterObserver, type BatchObserver } from './observe.ts';
import { makeDurable, type Steps } from '../../db/rows/process-batch.ts';
import { RecordQueue } from './record-queue.ts';
import { Watermark } from './watermark.ts';

export interface WriterLimits {
  /** A batch is written when this many rows or bytes are waiting, or `lingerMs` after the first of them came; at once when none is being written. */
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
  /** When dead letters are too many (default: never). */
  readonly deadRatio?: DeadRatio;
  /** Told how servers and loops are. */
  readonly health?: Health;
  /** Told what is done, batch by batch. */
  readonly observer?: WriterObserver;
}

/** Longer than a statement may take, and short enough that a supervisor's restart still helps. */
const stallMs = 120_000;

interface Job {
  readonly slices: readonly Slice[];
  readonly encoded: EncodedBatch;
  readonly verdicts: Verdicts;
  /** Mark the ranges of this batch durable in the watermark of the assignment they were read under. */
  readonly markDurable: readonly (() => void)[];
  readonly observed: BatchObserver;
}

/** Batches on their way to Postgres at once: while it works on one, the next is there already. More gained nothing. */
const writesAtOnce = 2;

/**
 * Kafka → Postgres. The consumer fetches ahead into a bounded queue; batches are taken from it, and while some are being made
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
  const observer = parts.observer ?? unobserved();
  const deadRatio = parts.deadRatio ?? new DeadRatio(noDeadRatio);
  const committer = new OffsetCommitter(consumer, log, {
    observer,
    noteOf: (partition) => deadRatio.note(partition),
  });
  const health = parts.health ?? new Health('writer');
  // Heartbeats depend on it: a member that is stuck must lose its partitions, not keep them by heartbeating.
  const progress = health.loop('the writer', stallMs);
  const kafka = health.dependency('kafka');
  const counters = parts.counters ?? new Counters();
  const ended = new AbortController();
  const stop = AbortSignal.any([signals.stop, ended.signal]);
  const giveUp = AbortSignal.any([signals.force, ended.signal]);
  const endSummaries = counters.summarise(log, () => ({
    queuedRecords: queue.records,
    queuedBytes: queue.bytes,
  }));

  const outages = new Map<string, Outage>();
  const outageOf = (what: string): Outage => {
    const { classify } = parts;
    const outage =
      outages.get(what) ?? new Outage(what, { log, classify, observer: health.dependency(what) });
    outages.set(what, outage);
    return outage;
  };
  const persist = <T>(what: string, attempt: () => Promise<T>, signal = giveUp): Promise<T> =>
    outageOf(what).waitOut(() => {
      progress.touch();
      return attempt();
    }, signal);
  const steps: Steps = {
    encode: (slices, verdicts) => persist('keys', () => parts.steps.encode(slices, verdicts)),
    publishDead: (dead) =>
      progress.whileWaiting(persist('dead letters', () => parts.steps.publishDead(dead))),
    insert: (batch) => persist('postgres', () => parts.steps.insert(batch)),
    refused: (batch, range) => persist('postgres', () => parts.steps.refused(batch, range)),
  };

  const consuming = consumer
    .run({
      onBatch: (batch, heartbeat) => {
        observer.fetched(batch);
        return queue.offer(batch, async () => {
          progress.assertAlive();
          await heartbeat();
        });
      },
      onAssigned: (partitions) => {
        queue.clear();
        watermark.reset();
        committer.reset();
        observer.assigned(partitions);
        kafka.succeeded();
        health.started();
        log.info({ partitions: [...partitions].sort((a, b) => a - b) }, 'assigned');
      },
      onLeft: (error) => kafka.failed(error),
    })
    .finally(() => ended.abort());

  const finish = async (job: Job): Promise<void> => {
    const ratio = deadRatio.batch(recordsByPartition(job.slices));
    const { observed } = job;
    const observedSteps: Steps = {
      encode: (slices, verdicts) => observed.during('seal', () => steps.encode(slices, verdicts)),
      async publishDead(dead) {
        ratio.admit(dead);
        const stamped = observed.stamped(dead);
        await observed.during('publish_dead', () => steps.publishDead(stamped));
        observed.dead(dead);
      },
      insert: (batch) => observed.during('insert', () => steps.insert(batch)),
      refused: (batch, range) => observed.during('insert', () => steps.refused(batch, range)),
    };
    const ledger = await progress
      .during(() => makeDurable(observedSteps, job.slices, job.encoded, job.verdicts))
      .catch((error: unknown) => {
        observed.failed(error);
        throw error;
      });
    observed.done(ledger);
    ratio.done();
    for (const mark of job.markDurable) mark();
    counters.add(ledger);
    committer.advance(
      watermark.position,
      ledger.reduce((sum, { read }) => sum + read, 0),
    );
  };

  const writing = (async () => {
    const finishing = new Set<Promise<void>>();
    try {
      for (;;) {
        const taken = await queue.take(parts.limits, stop, () => finishing.size > 0);
        if (taken === undefined) break;
        if (taken.generation !== queue.generation) continue;
        const { slices } = taken;
        const markDurable = slices.map(({ partition, records }) =>
          watermark.take(partition, lastOffset(records)),
        );
        const verdicts: Verdicts = new Map();
        const observed = observer.batch(slices);
        const encoded = await progress.during(() =>
          observed.during('seal', () => persist('keys', () => parts.steps.encode(slices, verdicts), stop)),
        );
        // The share of dead letters is counted over batches that are done.
        const room = encoded.dead.length > 0 ? 1 : writesAtOnce;
        while (finishing.size >= room) await Promise.race(finishing);
        if (taken.generation !== queue.generation) {
          observed.dropped();
          continue;
        }
        const finished = finish({ slices, encoded, verdicts, markDurable, observed });
        finishing.add(finished);
        finished.then(
          () => {
            finishing.delete(finished);
            queue.wake();
          },
          () => ended.abort(),
        );
        // Encoding does not let go of the thread: what has to be sent goes first.
        await setImmediate();
      }
      await Promise.all(finishing);
    } catch (error) {
      if (!isOutage(error) || !signals.stop.aborted) throw error;
      log.warn('stopped during an outage: what was not written is read again');
    } finally {
      ended.abort();
      queue.close();
      await Promise.allSettled(finishing);
      await committer.flush();
      await consumer.stop();
    }
  })();

  try {
    await settle([consuming, writing, observer.run(queue, stop)]);
  } finally {
    endSummaries();
  }
}

function unobserved(): WriterObserver {
  return new WriterObserver(noTelemetry, {
    topic: '',
    group: '',
    deadLetterTopic: '',
    table: '',
    clock: Date.now,
  });
}

function recordsByPartition(slices: readonly Slice[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { partition, records } of slices) {
    counts.set(partition, (counts.get(partition) ?? 0) + records.length);
  }
  return counts;
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
