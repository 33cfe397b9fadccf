import { beginOf, type StoredSpan, type StoredTrace } from './jaeger.ts';

/** A line of the tree. */
export interface TreeLine {
  readonly span: StoredSpan;
  readonly depth: number;
  /** Since the trace began. */
  readonly afterMs: number;
}

/** The spans of a trace, each below its parent and in the order in which they began. One whose parent is not there is a root. */
export function treeOf(trace: StoredTrace): TreeLine[] {
  const ids = new Set(trace.spans.map(({ spanId }) => spanId));
  const below = Map.groupBy(trace.spans, ({ parentId }) =>
    parentId !== undefined && ids.has(parentId) ? parentId : undefined,
  );
  const begin = beginOf(trace);
  const lines: TreeLine[] = [];
  const visit = (parent: string | undefined, depth: number) => {
    const children = (below.get(parent) ?? []).toSorted((a, b) => a.startMs - b.startMs);
    for (const span of children) {
      lines.push({ span, depth, afterMs: span.startMs - begin });
      visit(span.spanId, depth + 1);
    }
  };
  visit(undefined, 0);
  return lines;
}

/** For people: every trace with its address, its spans, when and how long. */
export function renderTraces(eventId: string, traces: readonly StoredTrace[], jaegerUrl: string): string {
  const parts = traces.map((trace) => renderTrace(trace, jaegerUrl));
  return [`event ${eventId}`, ...parts].join('\n\n');
}

/** Where Jaeger's page shows it. */
export function pageOf(traceId: string, jaegerUrl: string): string {
  return `${jaegerUrl.replace(/\/$/, '')}/trace/${traceId}`;
}

function renderTrace(trace: StoredTrace, jaegerUrl: string): string {
  const lines = treeOf(trace);
  const rows = lines.map(({ span, depth, afterMs }) => [
    `+${ms(afterMs)}`,
    `${'  '.repeat(depth)}${span.name}`,
    span.service.replace(/^sluice-/, ''),
    ms(span.durationMs),
    detailsOf(span),
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const began = new Date(beginOf(trace)).toISOString().replace('T', ' ').replace('Z', ' UTC');
  return [
    `${began}  ${pageOf(trace.traceId, jaegerUrl)}`,
    ...rows.map(([after = '', name = '', service = '', took = '', details = '']) =>
      `  ${after.padStart(widths[0] ?? 0)}  ${name.padEnd(widths[1] ?? 0)}  ${service.padEnd(widths[2] ?? 0)}  ${took.padStart(widths[3] ?? 0)}  ${details}`.trimEnd(),
    ),
  ].join('\n');
}

/** What one looks for in a span: where the record lies, what became of it, when it was sent. */
function detailsOf({ tags, links }: StoredSpan): string {
  const tag = (name: string) => tags.get(name);
  const partition = tag('messaging.destination.partition.id');
  const offset = tag('messaging.kafka.offset');
  const dead = tag('sluice.dead_letter.code');
  const field = tag('sluice.dead_letter.field');
  const error = tag('error.type');
  const sentAt = tag('sluice.sent_at');
  return [
    ...(partition === undefined
      ? []
      : [`partition ${partition}${offset === undefined ? '' : `, offset ${offset}`}`]),
    ...(dead === undefined ? [] : [`dead letter ${dead}${field === undefined ? '' : ` at ${field}`}`]),
    ...(error === undefined || error === dead ? [] : [`failed: ${error}`]),
    ...(tag('sluice.outcome') === undefined || dead !== undefined ? [] : [tag('sluice.outcome')]),
    ...(sentAt === undefined ? [] : [`sent ${sentAt.slice(11, 23)}`]),
    ...(links.length === 0 ? [] : [`see ${links.map(({ traceId }) => traceId.slice(0, 8)).join(', ')}`]),
  ].join(' · ');
}

/** `0.8 ms`, `12 ms`, `3.2 s`, `2.5 h`. */
function ms(value: number): string {
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1_000) return `${value.toFixed(0)} ms`;
  if (value < 120_000) return `${(value / 1_000).toFixed(1)} s`;
  return value < 7_200_000 ? `${(value / 60_000).toFixed(1)} min` : `${(value / 3_600_000).toFixed(1)} h`;
}
