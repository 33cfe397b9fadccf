import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import { formatTraceparent } from './traceparent.ts';
import type { SpanOptions, TraceSpan, Tracing } from './tracing.ts';

/** Batch spans a second, of each name, beside those of sampled messages: enough to read, at a cost that does not show. */
const batchesPerSecond = 2;
/** Two clocks that differ by more than this: the wall clock was set, or this one has drifted. */
const maxDriftMs = 20;

/**
 * As many links as the SDK keeps of a span by default: beyond them it would drop the first and complain. Where every message is traced, a
 * batch has thousands, each of which links back to it.
 */
const maxLinks = 128;

/** {@link Tracing} on OpenTelemetry's tracer. */
export class SdkTracing implements Tracing {
  readonly #tracer: Tracer;
  readonly #rate: number;
  readonly #batches = new Map<string, { second: number; left: number }>();
  #epochOfPerformanceMs = performance.timeOrigin;

  constructor(tracer: Tracer, rate: number) {
    this.#tracer = tracer;
    this.#rate = rate;
  }

  sampled(): boolean {
    return Math.random() < this.#rate;
  }

  batchSampled(name: string): boolean {
    const second = Math.floor(performance.now() / 1_000);
    let budget = this.#batches.get(name);
    if (budget === undefined) this.#batches.set(name, (budget = { second, left: batchesPerSecond }));
    if (budget.second !== second) Object.assign(budget, { second, left: batchesPerSecond });
    if (budget.left === 0) return false;
    budget.left -= 1;
    return true;
  }

  span(name: string, options: SpanOptions): TraceSpan {
    const { kind, parent, attributes, links, startMs } = options;
    const within = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    const span = this.#tracer.startSpan(
      name,
      {
        kind: SpanKind[kind ?? 'INTERNAL'],
        root: parent === undefined,
        startTime: startMs ?? this.nowMs(),
        ...(attributes === undefined ? {} : { attributes }),
        ...(links === undefined ? {} : { links: links.slice(0, maxLinks) }),
      },
      within,
    );
    return new SdkSpan(span, maxLinks - (links?.length ?? 0), () => this.nowMs());
  }

  nowMs(): number {
    const now = performance.now();
    const wall = Date.now();
    const precise = this.#epochOfPerformanceMs + now;
    if (Math.abs(precise - wall) <= maxDriftMs) return precise;
    this.#epochOfPerformanceMs = wall - now;
    return wall;
  }
}

class SdkSpan implements TraceSpan {
  readonly context: SpanContext;
  readonly #span: Span;
  readonly #nowMs: () => number;
  #linksLeft: number;

  constructor(span: Span, linksLeft: number, nowMs: () => number) {
    this.#span = span;
    this.#linksLeft = linksLeft;
    this.#nowMs = nowMs;
    this.context = span.spanContext();
  }

  get traceparent(): string {
    return formatTraceparent(this.context);
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }

  link(context: SpanContext): void {
    if (this.#linksLeft <= 0) return;
    this.#linksLeft -= 1;
    this.#span.addLink({ context });
  }

  during<T>(work: () => T): T {
    return context.with(trace.setSpan(context.active(), this.#span), work);
  }

  end(options: { readonly error?: string; readonly atMs?: number } = {}): void {
    const { error, atMs } = options;
    if (error !== undefined) {
      this.#span.setAttribute('error.type', error);
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: error });
    }
    this.#span.end(atMs ?? this.#nowMs());
  }
}
