import type { SpanContext } from '@opentelemetry/api';

/** W3C Trace Context, version 00 and later ones that extend it. */
const w3c = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

export function isTraceparent(text: string): boolean {
  return w3c.test(text);
}

/** Undefined for what is none. `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01` → its ids, sampled. */
export function parseTraceparent(given: Buffer | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] = (given && w3c.exec(given.toString('latin1', 0, 64))) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

export function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/** Its sender keeps this trace. */
export function isSampled(context: SpanContext): boolean {
  return (context.traceFlags & 1) === 1;
}
