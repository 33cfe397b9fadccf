import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { factsOf } from '../../../services/writer/batch-facts.ts';
import { BatchTrace } from '../../../services/writer/batch-trace.ts';
import type { IncomingRecord } from '../../../shared/kafka/ports.ts';
import { recordedTelemetry } from '../../helpers/recorded-telemetry.ts';

const places = { topic: 'raw', group: 'writers', deadLetterTopic: 'dead', table: 'user_logins' };
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = Buffer.from(`00-${traceId}-00f067aa0ba902b7-01`);

const record = (offset: bigint, headers: Record<string, Buffer> = {}): IncomingRecord => ({
  offset,
  key: Buffer.from(randomUUID()),
  value: Buffer.from('CANARY'),
  timestampMs: 1_790_000_000_000,
  headers,
});
const ledger = (duplicate: number) => [
  {
    topic: 'raw',
    partition: 3,
    firstOffset: 0n,
    lastOffset: 1n,
    read: 2,
    inserted: 2 - duplicate,
    duplicate,
    dead: 0,
    unknownFields: 0,
  },
];

function begin(records: readonly IncomingRecord[]) {
  const recorded = recordedTelemetry(0);
  return {
    ...recorded,
    trace: new BatchTrace(recorded.tracing, places, factsOf([{ partition: 3, records }])),
  };
}

describe('BatchTrace', () => {
  test('a record with a trace has its process and insert in it, with coordinates, linked with the batch', async () => {
    const sampled = record(1n, { traceparent });
    const { trace, one, spans } = begin([record(0n), sampled]);
    await trace.during('seal', async () => {});
    await trace.during('insert', async () => {});
    trace.done(ledger(0));
    const batch = one('process raw', 'batch');
    const process = one('process raw', 'message');
    expect(process.spanContext().traceId).toBe(traceId);
    expect(process.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');
    expect(process.attributes).toMatchObject({
      'messaging.destination.partition.id': '3',
      'messaging.kafka.offset': 1,
      'messaging.message.id': sampled.key.toString(),
      'messaging.consumer.group.name': 'writers',
      'sluice.outcome': 'inserted',
    });
    expect(process.links.map(({ context }) => context.spanId)).toEqual([batch.spanContext().spanId]);
    expect(batch.links.map(({ context }) => context.spanId)).toEqual([process.spanContext().spanId]);
    const inserts = spans().filter(({ name }) => name === 'insert user_logins');
    expect(new Set(inserts.map((span) => span.parentSpanContext?.spanId))).toEqual(
      new Set([batch, process].map((span) => span.spanContext().spanId)),
    );
  });

  test('what the ledger does not say is not claimed', async () => {
    const { trace, one } = begin([record(0n), record(1n, { traceparent })]);
    await trace.during('insert', async () => {});
    trace.done(ledger(1));
    expect(one('process raw', 'message').attributes['sluice.outcome']).toBe('inserted or duplicate');
  });

  test('a dead letter has a trace although nobody sampled it, and takes it along', async () => {
    const bad = record(0n);
    const { trace, one } = begin([bad]);
    const [stamped] = trace.stamped([
      { partition: 3, record: bad, reason: { code: 'FIELD_TYPE', stage: 'parse', field: 'ip' } },
    ]);
    await trace.during('publish_dead', async () => {});
    trace.done(ledger(0));
    const process = one('process raw', 'message');
    const { traceId: own, spanId } = process.spanContext();
    expect(stamped?.record.headers['traceparent']?.toString()).toBe(`00-${own}-${spanId}-01`);
    expect(stamped?.record.value).toBe(bad.value);
    expect(bad.headers).toEqual({});
    expect(process.attributes).toMatchObject({
      'sluice.dead_letter.code': 'FIELD_TYPE',
      'sluice.dead_letter.field': 'ip',
      'error.type': 'FIELD_TYPE',
    });
    expect(JSON.stringify(process.attributes)).not.toContain('CANARY');
  });

  test('what was put back begins a trace that is linked to its origin', () => {
    const { trace, one } = begin([record(0n, { 'origin-traceparent': traceparent })]);
    trace.done(ledger(0));
    const process = one('process raw', 'message');
    expect(process.spanContext().traceId).not.toBe(traceId);
    expect(process.parentSpanContext).toBeUndefined();
    expect(process.links.map(({ context }) => context.traceId)).toContain(traceId);
  });

  test('what its sender does not keep, and what is no traceparent, is not gone on with', () => {
    const { trace, spans } = begin([
      record(0n, { traceparent: Buffer.from(`00-${traceId}-00f067aa0ba902b7-00`) }),
      record(1n, { traceparent: Buffer.from('CANARY') }),
    ]);
    trace.done(ledger(0));
    expect(spans().filter(({ attributes }) => 'messaging.message.id' in attributes)).toEqual([]);
  });

  test('of a batch that is given up every span ends, with the code', () => {
    const { trace, spans } = begin([record(0n, { traceparent })]);
    trace.failed('DATABASE_FORBIDDEN');
    expect(spans().map(({ attributes }) => attributes['error.type'])).toEqual([
      'DATABASE_FORBIDDEN',
      'DATABASE_FORBIDDEN',
    ]);
  });
});
