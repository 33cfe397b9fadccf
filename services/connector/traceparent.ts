import type { QueueMessage } from '../../shared/sqs/ports.ts';
import { isTraceparent } from '../../shared/telemetry/traceparent.ts';

/**
 * The trace a message belongs to, as W3C `traceparent`: of the producer's attribute of that name when it is valid,
 * else of `AWSTraceHeader` when that says `Sampled=1`.
 *
 *     Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
 *     → 00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01
 *
 * Sources: w3.org/TR/trace-context; AWS X-Ray developer guide, "Tracing header".
 */
export function traceparentOf(message: Pick<QueueMessage, 'attributes' | 'traceHeader'>): string | undefined {
  const own = message.attributes['traceparent']?.toString('latin1');
  if (own !== undefined && isTraceparent(own)) return own;
  if (message.traceHeader === undefined) return undefined;
  const parts = new Map(
    message.traceHeader.split(';').map((part): [string, string] => {
      const [name = '', value = ''] = part.trim().split('=', 2);
      return [name, value];
    }),
  );
  const root = /^1-([0-9a-f]{8})-([0-9a-f]{24})$/.exec(parts.get('Root') ?? '');
  if (root === null || parts.get('Sampled') !== '1') return undefined;
  const traceparent = `00-${root[1]}${root[2]}-${parts.get('Parent') ?? ''}-01`;
  return isTraceparent(traceparent) ? traceparent : undefined;
}
