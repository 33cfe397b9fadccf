import type { OutgoingRecord } from '../../shared/kafka/ports.ts';
import type { QueueMessage } from '../../shared/sqs/ports.ts';
import { isSampled, parseTraceparent } from '../../shared/telemetry/traceparent.ts';
import type { TraceSpan, Tracing } from '../../shared/telemetry/tracing.ts';

interface Places {
  readonly queue: string;
  readonly topic: string;
}

/** How a message left the connector. The first two are what it is there for. */
export type MessageEnd = 'deleted' | 'expired' | 'returned' | 'unsealable' | 'forgotten';

/**
 * Which messages get a trace of their own, and their spans: those whose producer's trace is sampled, which is continued, and of those
 * without a trace the share of TRACE_SAMPLE_RATE. A producer that has decided against it is obeyed.
 */
export class MessageTraces {
  readonly #tracing: Tracing;
  readonly #places: Places;
  readonly #publishes = new WeakMap<OutgoingRecord, TraceSpan>();

  constructor(tracing: Tracing, places: Places) {
    this.#tracing = tracing;
    this.#places = places;
  }

  /** Undefined for most. */
  begin(
    message: QueueMessage,
    options: { readonly traceparent: Buffer | undefined; readonly eventId: string; readonly startMs: number },
  ): MessageTrace | undefined {
    const parent = parseTraceparent(options.traceparent);
    if (parent === undefined ? !this.#tracing.sampled() : !isSampled(parent)) return undefined;
    return this.#trace(message, { ...options, parent });
  }

  /** A message without a trace has come to nothing: that is told in any case. */
  failed(
    message: QueueMessage,
    options: { readonly eventId: string; readonly startMs: number },
  ): MessageTrace {
    return this.#trace(message, { ...options, parent: undefined });
  }

  /** The span of publishing this record, if it has one. */
  publishOf(record: OutgoingRecord): TraceSpan | undefined {
    return record.headers === undefined ? undefined : this.#publishes.get(record);
  }

  #trace(
    message: QueueMessage,
    options: Parameters<MessageTraces['failed']>[1] & { parent: ReturnType<typeof parseTraceparent> },
  ): MessageTrace {
    const { queue } = this.#places;
    const span = this.#tracing.span(`receive ${queue}`, {
      kind: 'CONSUMER',
      parent: options.parent,
      startMs: options.startMs,
      attributes: {
        'messaging.system': 'aws_sqs',
        'messaging.operation.name': 'receive',
        'messaging.operation.type': 'receive',
        'messaging.destination.name': queue,
        'messaging.message.id': options.eventId,
        'messaging.message.body.size': message.body.length,
        'sluice.sent_at': new Date(message.sentAtMs).toISOString(),
        'sluice.receive_count': message.receiveCount,
      },
    });
    const { topic } = this.#places;
    return new MessageTrace(this.#tracing, span, { queue, topic, eventId: options.eventId }, this.#publishes);
  }
}

/** The spans of one message within the connector: `receive`, and below it `publish` and `delete`. */
export class MessageTrace {
  readonly #tracing: Tracing;
  readonly #span: TraceSpan;
  readonly #names: Places & { readonly eventId: string };
  readonly #publishes: WeakMap<OutgoingRecord, TraceSpan>;
  #publish: TraceSpan | undefined;
  #acknowledgedAtMs: number | undefined;
  #ended = false;

  constructor(
    tracing: Tracing,
    span: TraceSpan,
    names: Places & { readonly eventId: string },
    publishes: WeakMap<OutgoingRecord, TraceSpan>,
  ) {
    this.#tracing = tracing;
    this.#span = span;
    this.#names = names;
    this.#publishes = publishes;
  }

  get context(): TraceSpan['context'] {
    return this.#span.context;
  }

  linkTo(batch: TraceSpan['context']): void {
    this.#span.link(batch);
  }

  /** The record with the `traceparent` by which its reader goes on with this trace. */
  outgoing(record: OutgoingRecord): OutgoingRecord {
    const { topic, eventId } = this.#names;
    const publish = this.#tracing.span(`publish ${topic}`, {
      kind: 'PRODUCER',
      parent: this.#span.context,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.operation.name': 'publish',
        'messaging.operation.type': 'send',
        'messaging.destination.name': topic,
        'messaging.message.id': eventId,
      },
    });
    this.#publish = publish;
    const headers = { ...record.headers, traceparent: Buffer.from(publish.traceparent) };
    const traced = { ...record, headers };
    this.#publishes.set(traced, publish);
    return traced;
  }

  acknowledged(): void {
    this.#acknowledgedAtMs = this.#tracing.nowMs();
    this.#publish?.end({ atMs: this.#acknowledgedAtMs });
    this.#publish = undefined;
  }

  end(how: MessageEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const { queue, eventId } = this.#names;
    if (how === 'deleted' && this.#acknowledgedAtMs !== undefined) {
      this.#tracing
        .span(`delete ${queue}`, {
          kind: 'CLIENT',
          parent: this.#span.context,
          startMs: this.#acknowledgedAtMs,
          attributes: {
            'messaging.system': 'aws_sqs',
            'messaging.operation.name': 'delete',
            'messaging.operation.type': 'settle',
            'messaging.destination.name': queue,
            'messaging.message.id': eventId,
          },
        })
        .end();
    }
    // A copy may still be on its way: then its own span says where it got to.
    this.#publish?.end({ error: 'unacknowledged' });
    this.#span.set({ 'sluice.outcome': how });
    this.#span.end(how === 'unsealable' ? { error: 'KEY_MISSING' } : {});
  }
}
