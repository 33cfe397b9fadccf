import { z } from 'zod';
import { integer, wholeNumber } from '../config.ts';
import { noTelemetry, type Telemetry } from './telemetry.ts';

const text = z.string().optional();

/**
 * What decides whether anything is watched; the rest of OpenTelemetry's variables the SDK reads for itself
 * (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
 */
export const telemetrySlice = {
  /** Where Prometheus scrapes: nowhere unless a port is given; 0 is any that is free. May be the HEALTH_PORT. */
  METRICS_PORT: wholeNumber({ min: 0, max: 65_535 }).optional(),
  METRICS_HOST: z.union([z.ipv4(), z.ipv6()], 'must be an IP address').default('127.0.0.1'),
  /** The share of messages that get a trace of their own. */
  TRACE_SAMPLE_RATE: z
    .string()
    .regex(/^(0(\.\d{1,9})?|1(\.0{1,9})?)$/, 'must be a share from 0 to 1, such as 0.001')
    .transform(Number)
    .default(0.001),
  OTEL_SDK_DISABLED: text,
  OTEL_EXPORTER_OTLP_ENDPOINT: text,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text,
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: text,
  OTEL_TRACES_EXPORTER: text,
  OTEL_METRICS_EXPORTER: text,
  OTEL_EXPORTER_OTLP_PROTOCOL: text,
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: text,
  /** Milliseconds. */
  OTEL_METRIC_EXPORT_INTERVAL: integer({ min: 1_000, max: 3_600_000, default: 60_000 }),
  OTEL_METRIC_EXPORT_TIMEOUT: integer({ min: 100, max: 3_600_000, default: 30_000 }),
};

export type TelemetryConfig = z.output<z.ZodObject<typeof telemetrySlice>>;

/** What is wanted of the SDK: `none` costs nothing, for nothing of it is loaded. */
export function wanted(config: TelemetryConfig): { traces: boolean; push: boolean; scrape: boolean } {
  if (config.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true')
    return { traces: false, push: false, scrape: false };
  const isWanted = (exporter: string | undefined, endpoint: string | undefined) =>
    exporter === undefined
      ? (endpoint ?? config.OTEL_EXPORTER_OTLP_ENDPOINT) !== undefined
      : exporter.trim() !== 'none';
  return {
    traces: isWanted(config.OTEL_TRACES_EXPORTER, config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT),
    push: isWanted(config.OTEL_METRICS_EXPORTER, config.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT),
    scrape: config.METRICS_PORT !== undefined,
  };
}

/** The telemetry of a process, by its settings. Nothing set: nothing loaded, nothing spent. */
export async function openTelemetry(service: string, config: TelemetryConfig): Promise<Telemetry> {
  const signals = wanted(config);
  if (!signals.traces && !signals.push && !signals.scrape) return noTelemetry;
  const { startSdk } = await import('./sdk.ts');
  return startSdk({ service, signals, config });
}
