import type { RequestListener } from 'node:http';
import type { Logger } from '../log.ts';
import { noMetrics, type Metrics } from './metrics.ts';
import type { Tracing } from './tracing.ts';

/** What a process shows of itself. */
export interface Telemetry extends AsyncDisposable {
  readonly metrics: Metrics;
  /** Undefined: no traces are wanted. */
  readonly tracing: Tracing | undefined;
  /** `trace_id` and `span_id` of the span that is at work, for a log line. */
  readonly logFields: () => object;
  /** Answers with every metric, in Prometheus's text format. Undefined without METRICS_PORT. */
  readonly scrape: RequestListener | undefined;
  /** That spans or metrics cannot be delivered is said there, once in ten minutes. */
  reportTo(log: Logger): void;
}

/** For a process that nobody watches. */
export const noTelemetry: Telemetry = {
  metrics: noMetrics,
  tracing: undefined,
  logFields: () => ({}),
  scrape: undefined,
  reportTo: () => {},
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
