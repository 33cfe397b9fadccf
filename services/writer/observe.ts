import type { LedgerEntry } from '../../db/queries/insert-ledger.ts';
import type { FetchedBatch } from '../../shared/kafka/ports.ts';
import { knownOr } from '../../shared/outage.ts';
import type { Telemetry } from '../../shared/telemetry/telemetry.ts';
import { timed } from '../../shared/telemetry/timed.ts';
import type { Clock } from '../../shared/time.ts';
import { factsOf, type BatchFacts } from './batch-facts.ts';
import { BatchTrace, type Places } from './batch-trace.ts';
import type { DeadRecord, Slice } from '../../db/rows/encode.ts';
import { Lag, type Ends } from './lag.ts';
import type { RecordQueue } from './record-queue.ts';

/** Batch stages that are timed. */
export type Stage = 'seal' | 'publish_dead' | 'insert' | 'commit';

export interface WriterObserverOptions extends Places {
  readonly clock: Clock;
  /** Where the partitions end and how far the group has committed, asked now and then. Undefined: not asked. */
  readonly ends?: () => Promise<Ends>;
}

/**
 * What the writer tells of itself, **a call a batch**: for a record without a trace no more is done than to look whether it has one, and to
 * add its age to a histogram. Off by {@link noTelemetry}, it passes through.
 */
export class WriterObserver {
  readonly #telemetry: Telemetry;
  readonly #options: WriterObserverOptions;
  readonly #lag: Lag;

  constructor(telemetry: Telemetry, options: WriterObserverOptions) {
    this.#telemetry = telemetry;
    this.#options = options;
    this.#lag = new Lag(options.clock);
  }

  assigned(partitions: readonly number[]): void {
    this.#telemetry.metrics.add('sluice.writer.rebalances', 1);
    this.#lag.assigned(partitions);
  }

  fetched(batch: FetchedBatch): void {
    this.#lag.fetched(batch);
  }

  /** A batch has been taken from the queue. */
  batch(slices: readonly Slice[]): BatchObserver {
    const { metrics, tracing } = this.#telemetry;
    const facts = metrics.wanted || tracing !== undefined ? factsOf(slices) : undefined;
    const trace =
      tracing === undefined || facts === undefined
        ? undefined
        : new BatchTrace(tracing, this.#options, facts);
    return new BatchObserver(this.#telemetry, this.#lag, this.#options.clock, { slices, facts, trace });
  }

  /** Offsets are committed. */
  committing<T>(partitions: number, commit: () => Promise<T>): Promise<T> {
    const { metrics, tracing } = this.#telemetry;
    const { topic, group } = this.#options;
    const span =
      tracing?.batchSampled('commit') === true
        ? tracing.span(`commit ${topic}`, {
            kind: 'CLIENT',
            attributes: {
              'messaging.system': 'kafka',
              'messaging.operation.name': 'commit',
              'messaging.operation.type': 'settle',
              'messaging.destination.name': topic,
              'messaging.consumer.group.name': group,
              'sluice.partitions.count': partitions,
            },
          })
        : undefined;
    return timed('commit', commit, {
      metrics,
      span,
      ended: (outcome) => metrics.add('sluice.offset.commits', 1, { outcome }),
    });
  }

  /** Tells what is queued and how far behind it is until `signal` aborts. */
  async run(queue: RecordQueue, signal: AbortSignal): Promise<void> {
    const { metrics } = this.#telemetry;
    if (!metrics.wanted) return;
    metrics.observe('sluice.writer.queued.records', (report) => report(queue.records));
    metrics.observe('sluice.writer.queued.bytes', (report) => report(queue.bytes));
    metrics.observe('sluice.writer.queued.limit.bytes', (report) => report(queue.maxBytes));
    metrics.observe('sluice.writer.partitions', (report) => report(this.#lag.partitions));
    metrics.observe('sluice.lag.records', (report) => {
      for (const { partition, records } of this.#lag.now()) report(records, { partition });
    });
    metrics.observe('sluice.lag.seconds', (report) => {
      for (const { partition, seconds } of this.#lag.now()) {
        if (seconds !== undefined) report(seconds, { partition });
      }
    });
    if (this.#options.ends !== undefined) await this.#lag.follow(this.#options.ends, signal);
  }
}

/** One batch on its way through the writer. */
export class BatchObserver {
  readonly #telemetry: Telemetry;
  readonly #lag: Lag;
  readonly #clock: Clock;
  readonly #slices: readonly Slice[];
  readonly #facts: BatchFacts | undefined;
  readonly #trace: BatchTrace | undefined;
  readonly #startedAt = performance.now();

  constructor(
    telemetry: Telemetry,
    lag: Lag,
    clock: Clock,
    batch: {
      readonly slices: readonly Slice[];
      /** Undefined: nobody wants to know. */
      readonly facts: BatchFacts | undefined;
      readonly trace: BatchTrace | undefined;
    },
  ) {
    this.#telemetry = telemetry;
    this.#lag = lag;
    this.#clock = clock;
    this.#slices = batch.slices;
    this.#facts = batch.facts;
    this.#trace = batch.trace;
  }

  /** A stage of it, as often as it is gone through. */
  async during<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    const { metrics } = this.#telemetry;
    const startedAt = performance.now();
    const seen = (outcome: 'ok' | 'failed' | 'refused') => {
      const seconds = (performance.now() - startedAt) / 1_000;
      metrics.record('sluice.stage.duration.seconds', seconds, { stage, outcome });
    };
    try {
      const result = await (this.#trace === undefined ? work() : this.#trace.during(stage, work));
      seen('ok');
      return result;
    } catch (error) {
      seen(knownOr(error).action === 'deadLetter' ? 'refused' : 'failed');
      throw error;
    }
  }

  /** Dead letters about to be published: as they are to be, each with the trace it now has. */
  stamped(dead: readonly DeadRecord[]): readonly DeadRecord[] {
    return this.#trace?.stamped(dead) ?? dead;
  }

  /** Acknowledged by Kafka. */
  dead(dead: readonly DeadRecord[]): void {
    const { metrics } = this.#telemetry;
    for (const { reason } of dead) {
      metrics.add('sluice.dead_letters', 1, { code: reason.code, stage: reason.stage });
    }
  }

  /** All of it is in Postgres or among the dead letters. */
  done(ledger: readonly LedgerEntry[]): void {
    const now = this.#clock();
    for (const { partition, records } of this.#slices) this.#lag.durable(partition, records);
    this.#trace?.done(ledger);
    const { metrics } = this.#telemetry;
    if (!metrics.wanted || this.#facts === undefined) return;
    const { count, bytes, sentAtMs } = this.#facts;
    // In its place: what lies outside the heap makes V8 collect the whole of it when it is thrown away.
    const ages = sentAtMs;
    for (let i = 0; i < count; i += 1) ages[i] = Math.max(0, now - (ages[i] ?? now)) / 1_000;
    metrics.recordAll('sluice.end_to_end.seconds', ages);
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    metrics.record('sluice.stage.duration.seconds', seconds, { stage: 'process', outcome: 'ok' });
    metrics.record('sluice.stage.batch.records', count, { stage: 'process' });
    metrics.add('sluice.writer.read.bytes', bytes);
    const sum = (count: 'inserted' | 'duplicate' | 'dead' | 'unknownFields') =>
      ledger.reduce((total, entry) => total + entry[count], 0);
    for (const outcome of ['inserted', 'duplicate', 'dead'] as const) {
      metrics.add('sluice.writer.records', sum(outcome), { outcome });
    }
    metrics.add('sluice.writer.unknown_fields', sum('unknownFields'));
  }

  /** The assignment has changed: its records are read again by whoever owns them now. */
  dropped(): void {
    this.#trace?.failed('reassigned');
  }

  /** The writer ends, and it is not known to be durable: its records are read again. */
  failed(error: unknown): void {
    this.#trace?.failed(knownOr(error).code);
  }
}
