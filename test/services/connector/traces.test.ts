import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ConnectorObserver } from '../../../services/connector/observe.ts';
import { recordedTelemetry } from '../../helpers/recorded-telemetry.ts';
import { drain, harness, topic } from './harness.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7';

/** A connector whose spans are kept. */
function observed(rate: number) {
  const recorded = recordedTelemetry(rate);
  const observer = new ConnectorObserver(recorded.telemetry, {
    queueUrl: 'http://sqs/1/logins',
    topic,
    clock: Date.now,
  });
  return { ...recorded, connector: harness({ observer }) };
}

const headersOf = (connector: ReturnType<typeof harness>) =>
  connector.kafka
    .partitions(topic)
    .flat()
    .flatMap(({ headers }) => headers['traceparent']?.toString() ?? []);

describe('traces of messages', () => {
  test("a producer's trace is continued, and the record's reader goes on from the publish span", async () => {
    const { connector, one } = observed(0);
    connector.queue.send('nobody traces it');
    connector.queue.send('traced', { attributes: { traceparent: Buffer.from(`${parent}-01`) } });
    connector.start();
    await vi.advanceTimersByTimeAsync(1_000);
    await drain(connector);
    const receive = one('receive logins', 'message');
    const publish = one(`publish ${topic}`, 'message');
    const settle = one('delete logins', 'message');
    const { traceId, spanId } = publish.spanContext();
    expect(traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
    expect(receive.parentSpanContext?.spanId).toBe('00f067aa0ba902b7');
    expect(publish.parentSpanContext?.spanId).toBe(receive.spanContext().spanId);
    expect(settle.parentSpanContext?.spanId).toBe(receive.spanContext().spanId);
    expect(receive.attributes).toMatchObject({
      'messaging.system': 'aws_sqs',
      'messaging.destination.name': 'logins',
      'sluice.outcome': 'deleted',
    });
    expect(publish.attributes).toMatchObject({
      'messaging.kafka.offset': expect.any(Number),
      'messaging.destination.partition.id': expect.stringMatching(/^[0-3]$/),
    });
    expect(headersOf(connector)).toEqual([`00-${traceId}-${spanId}-01`]);
  });

  test('a producer that has decided against it is obeyed, and its header passes unchanged', async () => {
    const { connector, spans } = observed(1);
    connector.queue.send('x', { attributes: { traceparent: Buffer.from(`${parent}-00`) } });
    connector.start();
    await vi.advanceTimersByTimeAsync(1_000);
    await drain(connector);
    expect(headersOf(connector)).toEqual([`${parent}-00`]);
    expect(spans().filter(({ attributes }) => 'messaging.message.id' in attributes)).toEqual([]);
  });

  test('links lead from a message to its batches, and back', async () => {
    const { connector, one, spans } = observed(1);
    connector.queue.send('x');
    connector.start();
    await vi.advanceTimersByTimeAsync(1_000);
    await drain(connector);
    for (const name of ['receive logins', `publish ${topic}`]) {
      const own = one(name, 'message').spanContext();
      const batches = spans().filter(
        (span) => span.name === name && span.links.some(({ context }) => context.spanId === own.spanId),
      );
      expect(batches).toHaveLength(1);
      const linked = one(name, 'message').links.map(({ context }) => context.spanId);
      expect(linked).toEqual([batches[0]?.spanContext().spanId]);
    }
  });

  test('whatever becomes of a message, its span ends', async () => {
    const { connector, one } = observed(1);
    connector.fate = () => 'fail';
    connector.queue.send('x');
    connector.start();
    await vi.advanceTimersByTimeAsync(1_000);
    connector.stop();
    await vi.advanceTimersByTimeAsync(1_000);
    connector.force();
    await connector.ended();
    expect(one('receive logins', 'message').attributes['sluice.outcome']).toBe('returned');
    expect(one(`publish ${topic}`, 'message').attributes['error.type']).toBe('unacknowledged');
  });
});
