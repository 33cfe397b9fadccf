import { z } from 'zod';
import { PipelineError } from '../../shared/errors.ts';

const tagSchema = z.object({ key: z.string(), value: z.unknown() });
const spanSchema = z.object({
  traceID: z.string(),
  spanID: z.string(),
  operationName: z.string(),
  references: z
    .array(z.object({ refType: z.string(), traceID: z.string(), spanID: z.string() }))
    .nullish()
    .transform((references) => references ?? []),
  startTime: z.number(),
  duration: z.number(),
  tags: z
    .array(tagSchema)
    .nullish()
    .transform((tags) => new Map((tags ?? []).map(({ key, value }) => [key, String(value)]))),
  processID: z.string(),
});
const traceSchema = z.object({
  traceID: z.string(),
  spans: z.array(spanSchema),
  processes: z.record(z.string(), z.object({ serviceName: z.string() })),
});
const answerOf = <T extends z.ZodType>(item: T) =>
  z.object({
    data: z
      .array(item)
      .nullish()
      .transform((data) => data ?? []),
  });

/** A span as it is kept. Times in milliseconds since the epoch. */
export interface StoredSpan {
  readonly spanId: string;
  readonly name: string;
  readonly service: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly parentId: string | undefined;
  /** Of other traces, or of other spans of this one. */
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly tags: ReadonlyMap<string, string>;
}

export interface StoredTrace {
  readonly traceId: string;
  readonly spans: readonly StoredSpan[];
}

export interface TraceQuery {
  /** All of them must be on one span. */
  readonly tags: Readonly<Record<string, string>>;
  readonly fromMs: number;
  readonly toMs: number;
  /** Traces at most, of each service. */
  readonly limit: number;
}

const timeoutMs = 20_000;

/**
 * Traces with a span that has these tags, the oldest first, each whole: by the query API that Jaeger's own page uses.
 * @throws PipelineError JAEGER_UNAVAILABLE
 */
export async function findTraces(jaegerUrl: string, query: TraceQuery): Promise<StoredTrace[]> {
  const services = await ask(jaegerUrl, 'api/services', z.string());
  const found = new Map<string, StoredTrace>();
  for (const service of services) {
    const parameters = new URLSearchParams({
      service,
      tags: JSON.stringify(query.tags),
      start: String(Math.floor(query.fromMs * 1_000)),
      end: String(Math.ceil(query.toMs * 1_000)),
      limit: String(query.limit),
    });
    for (const trace of await ask(jaegerUrl, `api/traces?${parameters.toString()}`, traceSchema)) {
      found.set(trace.traceID, toTrace(trace));
    }
  }
  return [...found.values()].sort((a, b) => beginOf(a) - beginOf(b));
}

/** When its first span began. */
export function beginOf({ spans }: StoredTrace): number {
  return Math.min(...spans.map(({ startMs }) => startMs));
}

function toTrace({ traceID, spans, processes }: z.output<typeof traceSchema>): StoredTrace {
  const stored = spans.map((span): StoredSpan => {
    const parent = span.references.find((one) => one.refType === 'CHILD_OF' && one.traceID === traceID);
    return {
      spanId: span.spanID,
      name: span.operationName,
      service: processes[span.processID]?.serviceName ?? '',
      startMs: span.startTime / 1_000,
      durationMs: span.duration / 1_000,
      parentId: parent?.spanID,
      links: span.references
        .filter((one) => one !== parent)
        .map((one) => ({ traceId: one.traceID, spanId: one.spanID })),
      tags: span.tags,
    };
  });
  return { traceId: traceID, spans: stored };
}

async function ask<T extends z.ZodType>(jaegerUrl: string, path: string, item: T): Promise<z.output<T>[]> {
  const base = jaegerUrl.endsWith('/') ? jaegerUrl : `${jaegerUrl}/`;
  let body: unknown;
  try {
    const answer = await fetch(new URL(path, base), { signal: AbortSignal.timeout(timeoutMs) });
    if (!answer.ok) throw new PipelineError('JAEGER_UNAVAILABLE', `It answers with status ${answer.status}`);
    body = await answer.json();
  } catch (error) {
    if (error instanceof PipelineError) throw error;
    throw new PipelineError('JAEGER_UNAVAILABLE', `Nothing answers at ${new URL(base).host} as Jaeger does`);
  }
  const parsed = answerOf(item).safeParse(body);
  if (!parsed.success) {
    throw new PipelineError('JAEGER_UNAVAILABLE', `What answers at ${new URL(base).host} is no Jaeger`);
  }
  return parsed.data.data;
}
