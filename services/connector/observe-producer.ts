import { knownOr } from '../../shared/outage.ts';
import type {
  OutgoingRecord,
  PartitionAck,
  PartitionBatch,
  RecordProducer,
} from '../../shared/kafka/ports.ts';
import type { Telemetry } from '../../shared/telemetry/telemetry.ts';
import type { TraceSpan } from '../../shared/telemetry/tracing.ts';

/**
 * The same producer, its requests timed and, some of them, with a span; `spanOf` says which record has one of its own, which then gets the
 * record's coordinates. Nothing is done for any other record.
 */
export function observeProducer(
  producer: RecordProducer,
  telemetry: Telemetry,
  spanOf: ((record: OutgoingRecord) => TraceSpan | undefined) | undefined,
): RecordProducer {
  const { metrics, tracing } = telemetry;
  if (!metrics.wanted && tracing === undefined) return producer;
  return {
    partitionCount: (topic) => producer.partitionCount(topic),
    close: () => producer.close(),
    async send(topic, batches) {
      const traced = spanOf === undefined ? [] : tracedOf(batches, spanOf);
      const startedAt = performance.now();
      const span =
        traced.length > 0 || tracing?.batchSampled('publish')
          ? beginBatch(topic, batches, traced)
          : undefined;
      const send = () => producer.send(topic, batches);
      const acks = await (span === undefined ? send() : span.during(send)).catch((error: unknown) => {
        span?.end({ error: knownOr(error).code });
        throw error;
      });
      const failed = acks.find((ack) => 'error' in ack);
      const outcome = failed === undefined ? 'ok' : 'failed';
      const seconds = (performance.now() - startedAt) / 1_000;
      metrics.record('sluice.stage.duration.seconds', seconds, { stage: 'publish', outcome });
      metrics.record('sluice.stage.batch.records', recordsOf(batches), { stage: 'publish' });
      for (const one of traced) tellPlace(one, acks);
      span?.end(failed !== undefined && 'error' in failed ? { error: knownOr(failed.error).code } : {});
      return acks;
    },
  };

  function beginBatch(topic: string, batches: readonly PartitionBatch[], traced: readonly TracedRecord[]) {
    const span = tracing?.span(`publish ${topic}`, {
      kind: 'CLIENT',
      attributes: {
        'messaging.system': 'kafka',
        'messaging.operation.name': 'publish',
        'messaging.operation.type': 'send',
        'messaging.destination.name': topic,
        'messaging.batch.message_count': recordsOf(batches),
        'sluice.partitions': batches.map(({ partition }) => partition),
      },
      links: traced.map((one) => ({ context: one.span.context })),
    });
    if (span !== undefined) for (const one of traced) one.span.link(span.context);
    return span;
  }
}

interface TracedRecord {
  readonly span: TraceSpan;
  readonly partition: number;
  readonly index: number;
}

function tracedOf(
  batches: readonly PartitionBatch[],
  spanOf: (record: OutgoingRecord) => TraceSpan | undefined,
): TracedRecord[] {
  const found: TracedRecord[] = [];
  for (const { partition, records } of batches) {
    for (const [index, record] of records.entries()) {
      if (record.headers === undefined) continue;
      const span = spanOf(record);
      if (span !== undefined) found.push({ span, partition, index });
    }
  }
  return found;
}

function tellPlace({ span, partition, index }: TracedRecord, acks: readonly PartitionAck[]): void {
  const ack = acks.find((one) => one.partition === partition);
  if (ack === undefined || 'error' in ack) return;
  span.set({
    'messaging.destination.partition.id': String(partition),
    'messaging.kafka.offset': Number(ack.baseOffset) + index,
  });
}

function recordsOf(batches: readonly PartitionBatch[]): number {
  let records = 0;
  for (const batch of batches) records += batch.records.length;
  return records;
}
