import { canonicalUuid } from '../../shared/crypto/uuid.ts';
import { durationMs } from '../../shared/duration.ts';
import { PipelineError } from '../../shared/errors.ts';
import { msPerDay } from '../../shared/time.ts';
import { traceConfig } from './config.ts';
import { findTraces } from './jaeger.ts';
import { pageOf, renderTraces, treeOf } from './tree.ts';

/** Nobody keeps traces for longer. */
const maxSinceMs = 366 * msPerDay;
/** Traces of one event: it was received again, was a dead letter, was put back. */
const limit = 100;

/**
 * `sluice trace <event-id>`: the way of one event, as Jaeger has it. Exit code 1 when there is no trace of it.
 * @throws PipelineError USAGE, CONFIG_INVALID, JAEGER_UNAVAILABLE
 */
export async function trace(eventId: string, options: { since: string; json?: boolean }): Promise<number> {
  const id = canonicalUuid(eventId);
  if (id === undefined) throw new PipelineError('USAGE', 'An event is named by its SQS MessageId, a UUID');
  const sinceMs = durationMs(options.since, maxSinceMs);
  if (sinceMs === undefined) {
    throw new PipelineError('USAGE', '--since takes a duration from 1s to 366d, such as 14d');
  }
  const { JAEGER_URL } = traceConfig(process.env);
  const toMs = Date.now() + msPerDay;
  const tags = { 'messaging.message.id': id };
  const traces = await findTraces(JAEGER_URL, { tags, fromMs: toMs - msPerDay - sinceMs, toMs, limit });
  if (options.json === true) {
    const report = traces.map((one) => ({
      traceId: one.traceId,
      url: pageOf(one.traceId, JAEGER_URL),
      spans: treeOf(one).map(({ span, depth, afterMs }) =>
        Object.assign({ depth, afterMs }, span, { tags: Object.fromEntries(span.tags) }),
      ),
    }));
    process.stdout.write(`${JSON.stringify({ eventId: id, traces: report })}\n`);
  } else if (traces.length > 0) {
    process.stdout.write(`${renderTraces(id, traces, JAEGER_URL)}\n`);
  } else {
    process.stdout.write(
      `no trace of ${id} in the last ${options.since}. One message in a thousand has one (TRACE_SAMPLE_RATE), and every dead letter; a trace\n` +
        'shows some seconds after it ended, and Jaeger forgets. Where the event is now: "sluice dlq list --event-id", or the table by event_id.\n',
    );
  }
  return traces.length > 0 ? 0 : 1;
}
