import type { Attributes, Link, SpanContext, SpanKind } from '@opentelemetry/api';

/** A span as the services use it. */
export interface TraceSpan {
  readonly context: SpanContext;
  /** W3C `traceparent` that makes a span elsewhere a child of this one. */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  link(context: SpanContext): void;
  /** Runs `work` within it: log lines carry its ids, and spans of libraries become its children. */
  during<T>(work: () => T): T;
  /** `error`: what it failed with, a code. Times are milliseconds since the epoch. */
  end(options?: { readonly error?: string; readonly atMs?: number }): void;
}

export interface SpanOptions {
  readonly kind?: keyof typeof SpanKind;
  /** Of another span, this process's or another's. Without one it begins a trace. */
  readonly parent?: SpanContext | undefined;
  readonly attributes?: Attributes;
  readonly links?: readonly Link[];
  readonly startMs?: number;
}

/**
 * Spans of a process. **Attributes are names, codes, counts and coordinates, and the MessageId: never a body, a value of a field, a key or
 * an error's message.**
 */
export interface Tracing {
  /** Whether a message that nobody has decided on gets a trace of its own: TRACE_SAMPLE_RATE of them do. */
  sampled(): boolean;
  /**
   * Whether a batch without such a message gets a span: the first few of a second, of each name. So a quiet process shows all it does,
   * and a busy one does not spend itself on spans.
   */
  batchSampled(name: string): boolean;
  span(name: string, options: SpanOptions): TraceSpan;
  /** Milliseconds since the epoch, with a fraction: for times of spans. */
  nowMs(): number;
}
