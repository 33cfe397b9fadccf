import type { LedgerEntry } from '../../db/queries/insert-ledger.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import { traceHeaders } from '../../shared/streams/trace-headers.ts';
import { isSampled, parseTraceparent } from '../../shared/telemetry/traceparent.ts';
import type { SpanOptions, TraceSpan, Tracing } from '../../shared/telemetry/tracing.ts';
import type { DeadRecord } from '../../db/rows/encode.ts';
import type { BatchFacts } from './batch-facts.ts';
import type { Stage } from './observe.ts';

type SpanContext = TraceSpan['context'];

/** What the spans name. */
export interface Places {
  readonly topic: string;
  readonly group: string;
  readonly deadLetterTopic: string;
  readonly table: string;
}

/** A record with a trace: it goes on with `parent`, or begins one that is linked to its `origin`. */
interface Traced {
  readonly partition: number;
  readonly record: IncomingRecord;
  readonly parent: SpanContext | undefined;
  readonly origin: SpanContext | undefined;
}

interface Passed {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * The spans of one batch: `process`, and below it its stages; and for every record that has a trace, `process` and `insert` in that trace,
 * linked with those of the batch both ways. **A dead letter always has one.**
 */
export class BatchTrace {
  readonly #tracing: Tracing;
  readonly #places: Places;
  readonly #startMs: number;
  readonly #records: number;
  readonly #traced = new Map<IncomingRecord, Traced>();
  readonly #dead = new Map<TraceSpan, DeadRecord['reason']['code']>();
  readonly #passed = new Map<Stage, Passed>();
  #batch: TraceSpan | undefined;

  constructor(tracing: Tracing, places: Places, { count, traced }: Pick<BatchFacts, 'count' | 'traced'>) {
    this.#tracing = tracing;
    this.#places = places;
    this.#startMs = tracing.nowMs();
    this.#records = count;
    for (const { partition, record } of traced) {
      const kept = tracedAs(partition, record);
      if (kept.parent !== undefined || kept.origin !== undefined) this.#traced.set(record, kept);
    }
    if (this.#traced.size > 0 || tracing.batchSampled('process')) this.#begin();
  }

  async during<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    const startMs = this.#tracing.nowMs();
    const parent = this.#batch?.context;
    const span = parent === undefined ? undefined : this.#tracing.span(...this.#stage(stage, parent));
    try {
      return await (span === undefined ? work() : span.during(work));
    } finally {
      const endMs = this.#tracing.nowMs();
      span?.end({ atMs: endMs });
      this.#passed.set(stage, { startMs, endMs });
    }
  }

  /** The dead letters as they are to be published, with the `traceparent` of the trace that each now has. */
  stamped(dead: readonly DeadRecord[]): DeadRecord[] {
    const batch = this.#begin();
    return dead.map((one) => {
      const { partition, record, reason } = one;
      const traced = this.#traced.get(record) ?? tracedAs(partition, record);
      this.#traced.delete(record);
      const span = this.#process(traced, batch);
      span.set({
        'sluice.dead_letter.code': reason.code,
        'sluice.dead_letter.stage': reason.stage,
        ...(reason.field === undefined ? {} : { 'sluice.dead_letter.field': reason.field }),
        ...(reason.detail === undefined ? {} : { 'sluice.dead_letter.detail': reason.detail }),
        'sluice.outcome': 'dead',
      });
      this.#dead.set(span, reason.code);
      const headers = { ...record.headers, [traceHeaders.traceparent]: Buffer.from(span.traceparent) };
      const { offset, key, value, timestampMs } = record;
      return { ...one, record: { offset, key, value, timestampMs, headers } };
    });
  }

  done(ledger: readonly LedgerEntry[]): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    const published = this.#passed.get('publish_dead');
    for (const [span, code] of this.#dead) {
      this.#step(span, `publish ${this.#places.deadLetterTopic}`, published, {
        kind: 'PRODUCER',
        attributes: {
          'messaging.system': 'kafka',
          'messaging.operation.name': 'publish',
          'messaging.operation.type': 'send',
          'messaging.destination.name': this.#places.deadLetterTopic,
        },
      });
      span.end({ error: code });
    }
    const doubtful = new Set(
      ledger.flatMap(({ partition, duplicate }) => (duplicate > 0 ? [partition] : [])),
    );
    for (const traced of this.#traced.values()) {
      const span = this.#process(traced, batch);
      this.#step(span, `insert ${this.#places.table}`, this.#passed.get('insert'), this.#inserting());
      // Which of a partition's records were duplicates, the ledger does not say.
      span.set({ 'sluice.outcome': doubtful.has(traced.partition) ? 'inserted or duplicate' : 'inserted' });
      span.end();
    }
    batch.end();
  }

  failed(code: string): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    for (const [span] of this.#dead) span.end({ error: code });
    for (const traced of this.#traced.values()) this.#process(traced, batch).end({ error: code });
    batch.end({ error: code });
  }

  #begin(): TraceSpan {
    this.#batch ??= this.#tracing.span(`process ${this.#places.topic}`, {
      kind: 'CONSUMER',
      startMs: this.#startMs,
      attributes: { ...this.#consuming(), 'messaging.batch.message_count': this.#records },
    });
    return this.#batch;
  }

  #process({ partition, record, parent, origin }: Traced, batch: TraceSpan): TraceSpan {
    const eventId = identityOf(record)?.eventId;
    const span = this.#tracing.span(`process ${this.#places.topic}`, {
      kind: 'CONSUMER',
      parent,
      startMs: this.#startMs,
      links: [batch.context, ...(origin === undefined ? [] : [origin])].map((context) => ({ context })),
      attributes: {
        ...this.#consuming(),
        'messaging.destination.partition.id': String(partition),
        'messaging.kafka.offset': Number(record.offset),
        'sluice.sent_at': new Date(record.timestampMs).toISOString(),
        ...(eventId === undefined ? {} : { 'messaging.message.id': eventId }),
      },
    });
    batch.link(span.context);
    return span;
  }

  /** A step of one record, which is the batch's: found by the link of its parent. */
  #step(parent: TraceSpan, name: string, passed: Passed | undefined, options: SpanOptions): void {
    if (passed === undefined) return;
    const { startMs, endMs } = passed;
    this.#tracing.span(name, { ...options, parent: parent.context, startMs }).end({ atMs: endMs });
  }

  #stage(stage: Stage, parent: SpanContext): [name: string, options: SpanOptions] {
    const { table, deadLetterTopic } = this.#places;
    if (stage === 'insert') return [`insert ${table}`, { ...this.#inserting(this.#records), parent }];
    return [stage === 'publish_dead' ? `publish ${deadLetterTopic}` : stage, { parent }];
  }

  #inserting(records?: number): SpanOptions {
    return {
      kind: 'CLIENT',
      attributes: {
        'db.system.name': 'postgresql',
        'db.operation.name': 'INSERT',
        'db.collection.name': this.#places.table,
        ...(records === undefined ? {} : { 'db.operation.batch.size': records }),
      },
    };
  }

  #consuming() {
    return {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': this.#places.topic,
      'messaging.consumer.group.name': this.#places.group,
    };
  }
}

/** Of a trace that its sender does not keep nothing is to be found. */
function tracedAs(partition: number, record: IncomingRecord): Traced {
  const kept = (name: string) => {
    const context = parseTraceparent(record.headers[name]);
    return context !== undefined && isSampled(context) ? context : undefined;
  };
  return { partition, record, parent: kept(traceHeaders.traceparent), origin: kept(traceHeaders.origin) };
}
