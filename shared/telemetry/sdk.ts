import { context, diag, DiagLogLevel, metrics as metricsApi, trace } from '@opentelemetry/api';
import { OTLPMetricExporter as GrpcMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as HttpMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { envDetector, resourceFromAttributes, serviceInstanceIdDetector } from '@opentelemetry/resources';
import {
  PeriodicExportingMetricReader,
  type IMetricReader,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { hostname } from 'node:os';
import sluice from '../../package.json' with { type: 'json' };
import { sleep } from '../lifecycle.ts';
import { Histograms } from './histograms.ts';
import { noMetrics } from './metrics.ts';
import type { TelemetryConfig } from './open.ts';
import { SdkMetrics } from './sdk-metrics.ts';
import { SdkTracing } from './sdk-tracing.ts';
import type { Telemetry } from './telemetry.ts';
import { TelemetryTrouble } from './trouble.ts';

/** A collector that does not answer must not keep a process from ending. */
const shutdownLimitMs = 3_000;

/**
 * Starts OpenTelemetry's SDK for this process, by the standard variables. **Loaded only when something is wanted of it**: it takes
 * a third of a second and 30 MiB.
 */
export function startSdk(options: {
  readonly service: string;
  readonly signals: { readonly traces: boolean; readonly push: boolean; readonly scrape: boolean };
  readonly config: TelemetryConfig;
}): Telemetry {
  const { service, signals, config } = options;
  const trouble = new TelemetryTrouble();
  diag.setLogger(trouble, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const histograms = new Histograms();
  const metricProducers = [histograms];
  const prometheus = signals.scrape
    ? new PrometheusExporter({ preventServerStart: true, withoutScopeInfo: true, metricProducers })
    : undefined;
  const readers: IMetricReader[] = [];
  if (prometheus !== undefined) readers.push(prometheus);
  if (signals.push) readers.push(pushingReader(config, metricProducers));
  const sdk = new NodeSDK({
    resource: resourceFromAttributes({
      'service.name': `sluice-${service}`,
      'service.namespace': 'sluice',
      'service.version': sluice.version,
      'host.name': hostname(),
    }),
    // Not those of process and host: they tell of command lines and owners.
    resourceDetectors: [serviceInstanceIdDetector, envDetector],
    metricReaders: readers,
    logRecordProcessors: [],
    // Undefined: as OTEL_TRACES_EXPORTER says.
    ...(signals.traces ? {} : { spanProcessors: [] }),
  });
  sdk.start();
  const metrics = readers.length > 0 ? new SdkMetrics(metricsApi.getMeter('sluice'), histograms) : noMetrics;
  metrics.observe('sluice.telemetry.failures', (report) => report(trouble.failures));
  return {
    metrics,
    tracing: signals.traces
      ? new SdkTracing(trace.getTracer('sluice', sluice.version), config.TRACE_SAMPLE_RATE)
      : undefined,
    logFields() {
      const active = trace.getSpanContext(context.active());
      return active === undefined ? {} : { trace_id: active.traceId, span_id: active.spanId };
    },
    scrape: prometheus?.getMetricsRequestHandler.bind(prometheus),
    reportTo: (log) => trouble.reportTo(log),
    async [Symbol.asyncDispose]() {
      const over = new AbortController();
      // What could not be delivered has been told of.
      await Promise.race([sdk.shutdown().catch(() => undefined), sleep(shutdownLimitMs, over.signal)]);
      over.abort();
      for (const api of [trace, metricsApi, context, diag]) api.disable();
    },
  };
}

/** Endpoint, headers and temporality the exporter reads for itself from the standard variables. */
function pushingReader(config: TelemetryConfig, metricProducers: MetricProducer[]): IMetricReader {
  const protocol = config.OTEL_EXPORTER_OTLP_METRICS_PROTOCOL ?? config.OTEL_EXPORTER_OTLP_PROTOCOL;
  const intervalMs = config.OTEL_METRIC_EXPORT_INTERVAL;
  return new PeriodicExportingMetricReader({
    metricProducers,
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(config.OTEL_METRIC_EXPORT_TIMEOUT, intervalMs),
    exporter: protocol?.trim() === 'grpc' ? new GrpcMetricExporter() : new HttpMetricExporter(),
  });
}
