import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace';
import { noMetrics } from '../../shared/telemetry/metrics.ts';
import { SdkTracing } from '../../shared/telemetry/sdk-tracing.ts';
import { noTelemetry, type Telemetry } from '../../shared/telemetry/telemetry.ts';

/** Spans as they would be exported, kept in memory, without any of OpenTelemetry's globals. */
export interface RecordedTelemetry {
  readonly telemetry: Telemetry;
  readonly tracing: SdkTracing;
  readonly spans: () => ReadableSpan[];
  /** The only one of that name that is, or is not, of a batch. */
  readonly one: (name: string, of: 'batch' | 'message') => ReadableSpan;
}

export function recordedTelemetry(rate: number): RecordedTelemetry {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  const tracing = new SdkTracing(provider.getTracer('test'), rate);
  const spans = () => exporter.getFinishedSpans();
  return {
    telemetry: { ...noTelemetry, metrics: noMetrics, tracing },
    tracing,
    spans,
    one(name, of) {
      const found = spans().filter(
        (span) =>
          span.name === name &&
          (span.attributes['messaging.batch.message_count'] !== undefined) === (of === 'batch'),
      );
      const [span] = found;
      if (span === undefined || found.length !== 1) throw new Error(`${found.length} spans ${name}`);
      return span;
    },
  };
}
