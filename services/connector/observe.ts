import { sleep } from '../../shared/lifecycle.ts';
import type { RecordProducer } from '../../shared/kafka/ports.ts';
import type { Queue, QueueAttributes, QueueMessage } from '../../shared/sqs/ports.ts';
import { queueNameOf } from '../../shared/sqs/queue-name.ts';
import type { Telemetry } from '../../shared/telemetry/telemetry.ts';
import { timed } from '../../shared/telemetry/timed.ts';
import type { SpanOptions } from '../../shared/telemetry/tracing.ts';
import type { Budget } from './budget.ts';
import type { Counts, Held } from './held.ts';
import type { Envelope } from './to-record.ts';
import { MessageTraces } from './message-traces.ts';
import { observeProducer } from './observe-producer.ts';
import { OldestAge } from './oldest-age.ts';

/** A message that has just been received. */
export interface Received {
  readonly item: Held;
  readonly message: QueueMessage;
  readonly envelope: Envelope;
}

/** SQS counts approximately, and answers for next to nothing. */
const countEveryMs = 15_000;

/**
 * What the connector tells of itself, **a call a batch**: nothing is done for a message that has no trace. Off by {@link noTelemetry},
 * it passes through.
 */
export class ConnectorObserver {
  readonly #traces: MessageTraces | undefined;
  readonly #telemetry: Telemetry;
  readonly #queueName: string;
  readonly #oldest: OldestAge;
  #attributes: QueueAttributes | undefined;

  constructor(telemetry: Telemetry, options: { queueUrl: string; topic: string; clock: () => number }) {
    const { tracing } = telemetry;
    this.#telemetry = telemetry;
    this.#queueName = queueNameOf(options.queueUrl);
    this.#oldest = new OldestAge(options.clock);
    this.#traces =
      tracing === undefined
        ? undefined
        : new MessageTraces(tracing, { queue: this.#queueName, topic: options.topic });
  }

  /** The same queue, its deletes told of; of polls, those that brought something tell ({@link received}). */
  queue(queue: Queue): Queue {
    return {
      receive: (options) => queue.receive(options),
      changeVisibility: (handles, seconds) => queue.changeVisibility(handles, seconds),
      delete: (handles) => this.#deleting(handles.length, () => queue.delete(handles)),
      attributes: () => queue.attributes(),
    };
  }

  producer(producer: RecordProducer): RecordProducer {
    const traces = this.#traces;
    return observeProducer(
      producer,
      this.#telemetry,
      traces === undefined ? undefined : (record) => traces.publishOf(record),
    );
  }

  /** Before any of them is published. */
  received(messages: readonly Received[], poll: { startMs: number; receivedAtMs: number }): void {
    const { metrics, tracing } = this.#telemetry;
    if (metrics.wanted) {
      let bytes = 0;
      let oldestMs = Infinity;
      for (const { message } of messages) {
        bytes += message.body.length;
        oldestMs = Math.min(oldestMs, message.sentAtMs);
        metrics.record(
          'sluice.queue.wait.seconds',
          Math.max(0, poll.receivedAtMs - message.sentAtMs) / 1_000,
        );
      }
      metrics.add('sluice.connector.received.bytes', bytes);
      metrics.record('sluice.stage.duration.seconds', Math.max(0, poll.receivedAtMs - poll.startMs) / 1_000, {
        stage: 'receive',
        outcome: 'ok',
      });
      this.#oldest.received(oldestMs);
    }
    const traces = this.#traces;
    if (tracing === undefined || traces === undefined) return;
    for (const { item, message, envelope } of messages) {
      const { headers } = envelope.record;
      item.trace = traces.begin(message, {
        eventId: envelope.identity.eventId,
        traceparent: headers?.['traceparent'],
        startMs: poll.receivedAtMs,
      });
    }
    const traced = messages.flatMap(({ item }) => item.trace ?? []);
    if (traced.length === 0 && !tracing.batchSampled('receive')) return;
    const span = tracing.span(`receive ${this.#queueName}`, {
      ...this.#batch('receive', 'receive', messages.length),
      startMs: poll.startMs,
      links: traced.map(({ context }) => ({ context })),
    });
    for (const trace of traced) trace.linkTo(span.context);
    span.end();
  }

  /** A message that cannot be published, though it was not chosen to be traced. */
  failed({ item, message, envelope }: Received, receivedAtMs: number): void {
    const { eventId } = envelope.identity;
    item.trace ??= this.#traces?.failed(message, { eventId, startMs: receivedAtMs });
  }

  /** What SQS says the queue holds; undefined: it did not answer. */
  counted(attributes: QueueAttributes | undefined): void {
    this.#attributes = attributes;
    if (attributes !== undefined) this.#oldest.counted(attributes);
  }

  /** Tells what is held and waiting until `signal` aborts, and asks SQS for it. */
  async run(parts: { queue: Queue; counts: Counts; budget: Budget }, signal: AbortSignal): Promise<void> {
    const { metrics } = this.#telemetry;
    if (!metrics.wanted) return;
    metrics.observe('sluice.connector.messages', (report) => {
      for (const outcome of outcomes) report(parts.counts[outcome], { outcome });
    });
    metrics.observe('sluice.connector.held.messages', (report) => report(parts.budget.used.messages));
    metrics.observe('sluice.connector.held.bytes', (report) => report(parts.budget.used.bytes));
    metrics.observe('sluice.connector.held.limit.bytes', (report) => report(parts.budget.limit.bytes));
    metrics.observe('sluice.queue.messages', (report) => {
      if (this.#attributes === undefined) return;
      report(this.#attributes.visible, { state: 'visible' });
      report(this.#attributes.inFlight, { state: 'in_flight' });
      report(this.#attributes.delayed, { state: 'delayed' });
    });
    metrics.observe('sluice.queue.oldest_age.seconds', (report) => {
      const { ageMs } = this.#oldest;
      if (ageMs !== undefined) report(ageMs / 1_000);
    });
    while (!signal.aborted) {
      this.counted(await parts.queue.attributes().catch(() => undefined));
      await sleep(countEveryMs, signal);
    }
  }

  #deleting<T>(messages: number, call: () => Promise<T>): Promise<T> {
    const { metrics, tracing } = this.#telemetry;
    if (!metrics.wanted && tracing === undefined) return call();
    const span =
      tracing?.batchSampled('delete') === true
        ? tracing.span(`delete ${this.#queueName}`, this.#batch('delete', 'settle', messages))
        : undefined;
    return timed('delete', call, { metrics, span });
  }

  #batch(name: string, type: 'receive' | 'settle', messages: number): SpanOptions {
    return {
      kind: 'CLIENT',
      attributes: {
        'messaging.system': 'aws_sqs',
        'messaging.operation.name': name,
        'messaging.operation.type': type,
        'messaging.destination.name': this.#queueName,
        'messaging.batch.message_count': messages,
      },
    };
  }
}

const outcomes = ['received', 'published', 'deleted', 'returned', 'expired', 'unsealable'] as const;
