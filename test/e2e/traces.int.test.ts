import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { findTraces, type StoredSpan, type StoredTrace } from '../../services/trace/jaeger.ts';
import { noJaegerHere, startJaeger, type TestJaeger } from '../helpers/jaeger.ts';
import { createPipeline, eventually, type Pipeline } from '../helpers/pipeline.ts';
import { sendAll } from '../helpers/queues.ts';
import { settled } from '../helpers/settle.ts';
import { readAll } from '../helpers/topics.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
const producer = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const traceparent = `00-${producer.traceId}-${producer.spanId}-01`;

const login = (i: number) => ({
  user_id: `user-${i}`,
  app_version: '2.3.0',
  device_type: 'iOS',
  ip: `203.0.113.${i}`,
  locale: null,
  device_id: `CANARY-DEVICE-${i}`,
});
const body = (i: number) => JSON.stringify(login(i));
const deadBodies = Array.from({ length: 100 }, (_, i) =>
  JSON.stringify({ ...login(i), user_id: undefined, 'CANARY-KEY': 'CANARY-VALUE' }),
);
const textAttribute = (value: string) => ({ DataType: 'String', StringValue: value });

let jaeger: TestJaeger | undefined;
let pipeline: Pipeline;
let chosen = '';

/** One message whose producer traces it among nine that nobody does, and a hundred dead letters. The rate is 0: only those have traces. */
beforeAll(async () => {
  jaeger = await startJaeger();
  if (jaeger === undefined) return;
  pipeline = await createPipeline(servers, {
    partitions: 3,
    env: { ...jaeger.env, TRACE_SAMPLE_RATE: '0', LOG_LEVEL: 'trace' },
  });
  await pipeline.start('connector');
  // The other protocol, so that both are seen to work.
  await pipeline.start('writer', {
    OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.grpcEndpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
  });
  const ids = await sendAll(pipeline.queue, [
    ...Array.from({ length: 9 }, (_, i) => body(i)),
    { body: body(99), attributes: { traceparent: textAttribute(traceparent) } },
    ...deadBodies,
  ]);
  chosen = ids[9] ?? '';
  await settled(pipeline);
}, 120_000);

afterAll(async () => {
  await pipeline?.[Symbol.asyncDispose]();
  await jaeger?.[Symbol.asyncDispose]();
});

beforeEach((context) => {
  if (jaeger === undefined) context.skip(noJaegerHere);
});

function find(tags: Record<string, string>, limit = 500): Promise<StoredTrace[]> {
  const now = Date.now();
  return findTraces(jaeger?.url ?? '', { tags, fromMs: now - 3_600_000, toMs: now + 60_000, limit });
}

/** The trace of an event, once it has as many spans. */
async function traceOf(eventId: string, spans: number): Promise<StoredTrace> {
  let found: StoredTrace[] = [];
  await eventually(`${spans} spans of ${eventId}`, async () => {
    found = await find({ 'messaging.message.id': eventId });
    return (found[0]?.spans.length ?? 0) >= spans;
  });
  const [trace] = found;
  if (trace === undefined || found.length !== 1) throw new Error(`${found.length} traces`);
  return trace;
}

function only(trace: StoredTrace, name: RegExp): StoredSpan {
  const spans = trace.spans.filter((span) => name.test(span.name));
  const [span] = spans;
  if (span === undefined || spans.length !== 1) throw new Error(`${spans.length} spans ${String(name)}`);
  return span;
}

describe('one sampled event', () => {
  test('is one trace over two services, in order, with the coordinates that it has in Kafka', async () => {
    const trace = await traceOf(chosen, 5);
    expect(trace.traceId).toBe(producer.traceId);
    const receive = only(trace, /^receive /);
    const publish = only(trace, /^publish /);
    const process = only(trace, /^process /);
    const insert = only(trace, /^insert user_logins$/);
    const settle = only(trace, /^delete /);
    expect(receive.parentId).toBe(producer.spanId);
    expect(publish.parentId).toBe(receive.spanId);
    expect(process.parentId).toBe(publish.spanId);
    expect(insert.parentId).toBe(process.spanId);
    expect(settle.parentId).toBe(receive.spanId);
    expect([receive, publish, settle].map(({ service }) => service)).toEqual(
      Array(3).fill('sluice-connector'),
    );
    expect([process, insert].map(({ service }) => service)).toEqual(Array(2).fill('sluice-writer'));
    const inOrder = [receive, publish, process, insert].map(({ startMs }) => startMs);
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));

    const records = await readAll(pipeline.kafkaBrokers, pipeline.rawTopic);
    const record = records.find(({ key }) => key.toString() === chosen);
    for (const span of [publish, process]) {
      expect(span.tags.get('messaging.destination.partition.id')).toBe(String(record?.partition));
      expect(span.tags.get('messaging.kafka.offset')).toBe(String(record?.offset));
      expect(span.tags.get('messaging.system')).toBe('kafka');
    }
    // It alone has a header, and that makes its reader a child of the publish span.
    expect(records.filter(({ headers }) => headers['traceparent'] !== undefined)).toHaveLength(1);
    expect(record?.headers['traceparent']?.toString()).toBe(`00-${producer.traceId}-${publish.spanId}-01`);
    expect(process.tags.get('sluice.outcome')).toBe('inserted');
  });

  test('is linked with the spans of its batches, both ways', async () => {
    const trace = await traceOf(chosen, 5);
    for (const name of [/^receive /, /^publish /, /^process /]) {
      const own = only(trace, name);
      const [link] = own.links;
      const operation = own.tags.get('messaging.operation.name') ?? '';
      const found = await find({ 'messaging.operation.name': operation });
      const batch = found
        .flatMap(({ traceId, spans }) => spans.map((span) => ({ traceId, span })))
        .find(({ span }) => span.spanId === link?.spanId);
      expect(batch?.traceId).toBe(link?.traceId);
      expect(batch?.span.tags.get('messaging.batch.message_count')).toMatch(/^\d+$/);
      expect(batch?.span.links).toContainEqual({ traceId: trace.traceId, spanId: own.spanId });
    }
  });

  test('is printed as a tree by "sluice trace"', async () => {
    await traceOf(chosen, 5);
    const { code, stdout } = await pipeline.runWith({ JAEGER_URL: jaeger?.url ?? '' }, 'trace', chosen);
    expect(code).toBe(0);
    expect(stdout).toContain(`${jaeger?.url}/trace/${producer.traceId}`);
    expect(stdout).toMatch(
      /receive .* connector .*\n.* {2}publish .*partition \d, offset \d+.*\n.* {4}process .* writer .*inserted/,
    );
    const unknown = await pipeline.runWith(
      { JAEGER_URL: jaeger?.url ?? '' },
      'trace',
      '00000000-0000-4000-8000-000000000000',
    );
    expect(unknown.code).toBe(1);
    expect(unknown.stdout).toContain('no trace of');
    const away = await pipeline.runWith({ JAEGER_URL: 'http://127.0.0.1:1' }, 'trace', chosen);
    expect(away.code).toBe(3);
    expect(away.stderr).toContain('Jaeger cannot be reached');
  });
});

describe('dead letters', () => {
  const byCode = () => find({ 'sluice.dead_letter.code': 'MESSAGE_SHAPE' });
  const hundred = () =>
    eventually('a hundred traces', async () => (await byCode()).length === deadBodies.length, 20_000);

  test('a hundred of them are found by their code, though none was sampled', async () => {
    await hundred();
    const traces = await byCode();
    for (const trace of traces) {
      const process = only(trace, /^process /);
      expect(process.tags.get('sluice.dead_letter.field')).toBe('user_id');
      expect(process.tags.get('error.type')).toBe('MESSAGE_SHAPE');
      expect(process.tags.get('messaging.message.id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(only(trace, /^publish /).parentId).toBe(process.spanId);
    }
    const letters = await readAll(pipeline.kafkaBrokers, pipeline.deadLetterTopic);
    const processes = new Set(
      traces.map((trace) => `00-${trace.traceId}-${only(trace, /^process /).spanId}-01`),
    );
    expect(new Set(letters.map(({ headers }) => headers['traceparent']?.toString()))).toEqual(processes);
  });

  test('one that is put back has a trace of its own, linked to that of its origin', async () => {
    await hundred();
    const [origin] = await byCode();
    if (origin === undefined) throw new Error('no trace');
    const before = only(origin, /^process /);
    const eventId = before.tags.get('messaging.message.id') ?? '';
    const redriven = await pipeline.run('dlq', 'redrive', '--event-id', eventId);
    expect(redriven.code).toBe(0);
    let traces: StoredTrace[] = [];
    await eventually('two traces of it', async () => {
      traces = await find({ 'messaging.message.id': eventId });
      return traces.length === 2;
    });
    const again = traces.find(({ traceId }) => traceId !== origin.traceId);
    if (again === undefined) throw new Error('no second trace');
    expect(only(again, /^process /).links).toContainEqual({
      traceId: origin.traceId,
      spanId: before.spanId,
    });
    await settled(pipeline);
  });
});

test('no attribute, event or log line holds a canary', async () => {
  await traceOf(chosen, 5);
  const url = jaeger?.url ?? '';
  const services: { data: string[] } = JSON.parse(await (await fetch(`${url}/api/services`)).text());
  let everything = await pipeline.logs();
  for (const service of services.data) {
    everything += await (await fetch(`${url}/api/traces?service=${service}&limit=5000`)).text();
  }
  for (const canary of ['CANARY', '203.0.113.', Buffer.from('CANARY').toString('base64').slice(0, 7)]) {
    expect(everything).not.toContain(canary);
  }
  // The search itself must be able to find something.
  expect(everything).toContain(chosen);
  expect(everything).toContain('MESSAGE_SHAPE');
});
