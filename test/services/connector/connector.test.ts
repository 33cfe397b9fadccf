import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { drain, harness, topic } from './harness.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const seconds = (n: number) => vi.advanceTimersByTimeAsync(n * 1000);

describe('runConnector', () => {
  test('every message is published once and deleted; key, time and value are those of the message', async () => {
    const connector = harness();
    const ids = Array.from({ length: 137 }, (_, i) =>
      connector.queue.send(`body ${i}`, { sentAtMs: 1_000 + i }),
    );
    connector.start();
    await seconds(1);
    const counts = await drain(connector);
    expect(counts).toMatchObject({ received: 137, published: 137, deleted: 137, returned: 0, expired: 0 });
    expect(connector.queue.remaining).toBe(0);
    const records = connector.kafka.partitions(topic).flat();
    expect(
      Object.fromEntries(records.map((r) => [r.key.toString(), [r.timestampMs, r.value.toString()]])),
    ).toEqual(Object.fromEntries(ids.map((id, i) => [id, [1_000 + i, `body ${i}`]])));
    expect(records).toHaveLength(137);
  });

  test('nothing is deleted before its acknowledgement, whatever Kafka and SQS do', async () => {
    const fate = fc.constantFrom('ack' as const, 'ack' as const, 'fail' as const, 'lost' as const);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fate, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        async (fates, messages, redelivered) => {
          const connector = harness({ visibilityTimeoutSeconds: 3 });
          const early: string[] = [];
          connector.queue.onDelete = (ids) =>
            early.push(...ids.filter((id) => !connector.acknowledged.has(id)));
          let batches = 0;
          connector.fate = () => fates[batches++] ?? 'ack';
          const ids = Array.from({ length: messages }, (_, i) => connector.queue.send(`body ${i}`));
          connector.start();
          await vi.advanceTimersByTimeAsync(3);
          for (const pick of redelivered) {
            const id = ids[pick % ids.length] ?? '';
            if (!connector.queue.deleted.includes(id)) connector.queue.redeliver(id);
            await vi.advanceTimersByTimeAsync(7);
          }
          await seconds(60);
          await drain(connector);
          expect(early).toEqual([]);
          expect(connector.queue.remaining).toBe(0);
          expect(new Set(connector.records().flat())).toEqual(new Set(ids.map((_, i) => `body ${i}`)));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('never holds more than its limits, and takes up again when there is room', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 10, max: 60 }),
        fc.integer({ min: 4, max: 40 }),
        fc.integer({ min: 1, max: 1_000 }),
        async (maxMessages, mebibytes, bodyKilobytes) => {
          const maxBytes = mebibytes * 1_048_576;
          const connector = harness({ maxMessages, maxBytes });
          let release = false;
          connector.fate = () => (release ? 'ack' : 'fail');
          for (let i = 0; i < 150; i++) connector.queue.send(`${i} `.padEnd(bodyKilobytes * 1024, 'x'));
          const held = { messages: 0, bytes: 0 };
          const receive = connector.queue.receive.bind(connector.queue);
          connector.queue.receive = async (options) => {
            const messages = await receive(options);
            held.messages += messages.length;
            held.bytes += messages.reduce((sum, message) => sum + message.body.length, 0);
            return messages;
          };
          connector.start();
          await seconds(20);
          expect(held.messages).toBeGreaterThan(0);
          expect(held.messages).toBeLessThanOrEqual(maxMessages);
          expect(held.bytes).toBeLessThanOrEqual(maxBytes);
          release = true;
          await seconds(60);
          expect(connector.queue.remaining).toBe(0);
          await drain(connector);
        },
      ),
      { numRuns: 20 },
    );
  });

  test('what was reserved is given back: after empty polls, expired receipts and hand-backs it still receives', async () => {
    const connector = harness({
      maxMessages: 10,
      maxBytes: 4 * 1_048_576,
      visibilityTimeoutSeconds: 10,
    });
    connector.start();
    await seconds(300);
    connector.fate = () => 'fail';
    for (let i = 0; i < 10; i++) connector.queue.send(`body ${i}`);
    await seconds(150);
    connector.fate = () => 'ack';
    await seconds(60);
    expect(connector.queue.remaining).toBe(0);
    const { returned, deleted } = await drain(connector);
    expect(returned).toBeGreaterThan(0);
    expect(deleted).toBe(10);
  });

  test('a message held long is extended until it is deleted, and never delivered twice', async () => {
    const connector = harness({ visibilityTimeoutSeconds: 6 });
    for (let i = 0; i < 40; i++) connector.queue.send(`body ${i}`);
    connector.fate = () => 'fail';
    connector.start();
    await seconds(90);
    connector.fate = () => 'ack';
    await seconds(10);
    expect(await drain(connector)).toMatchObject({ received: 40, published: 40, deleted: 40, expired: 0 });
  });

  test.each([
    ['SQS_FORBIDDEN', 'receive'],
    ['SQS_FORBIDDEN', 'delete'],
    ['SQS_QUEUE_MISSING', 'attributes'],
  ] as const)('%s at %s ends it with that error', async (code, call) => {
    const connector = harness();
    connector.queue.send('body');
    connector.queue.outages.set(call, code);
    connector.start();
    expect(await connector.ended()).toMatchObject({ error: { code } });
  });

  test('an error of Kafka that waiting cannot cure ends it, and what it held is handed back', async () => {
    const connector = harness();
    for (let i = 0; i < 12; i++) connector.queue.send(`body ${i}`);
    connector.fate = () => new PipelineError('KAFKA_FORBIDDEN');
    connector.start();
    expect(await connector.ended()).toMatchObject({ error: { code: 'KAFKA_FORBIDDEN' } });
    expect(connector.queue.remaining).toBe(12);
    expect(connector.queue.inFlight).toBe(0);
  });

  test('a missing topic, and a queue whose messages never become invisible, are refused at the start', async () => {
    const noTopic = harness({ topic: 'elsewhere' });
    noTopic.start();
    expect(await noTopic.ended()).toMatchObject({ error: { code: 'KAFKA_TOPIC_MISSING' } });
    const noTimeout = harness({ visibilityTimeoutSeconds: 0 });
    noTimeout.start();
    expect(await noTimeout.ended()).toMatchObject({ error: { code: 'CONFIG_INVALID' } });
  });

  test('is quiet when healthy and never says what a message holds', async () => {
    const connector = harness();
    for (let i = 0; i < 30; i++) {
      connector.queue.send('{"ip":"203.0.113.77"}', { attributes: { tenant: Buffer.from('s3cret-tenant') } });
    }
    connector.start();
    await seconds(125);
    connector.fate = () => 'fail';
    connector.queue.send('{"ip":"203.0.113.77"}');
    connector.queue.outages.set('receive', 'SQS_UNAVAILABLE');
    await seconds(30);
    connector.queue.outages.clear();
    connector.fate = () => 'ack';
    await seconds(30);
    await drain(connector);
    expect(connector.lines.slice(0, 3).map((line) => line['msg'])).toEqual([
      'receiving',
      'last minute',
      'last minute',
    ]);
    expect(connector.lines[1]).toMatchObject({
      received: 30,
      published: 30,
      deleted: 30,
      held: 0,
      waiting: 0,
    });
    expect(connector.lines[2]).toMatchObject({ received: 0 });
    const text = JSON.stringify(connector.lines);
    expect(text).not.toContain('203.0.113.77');
    expect(text).not.toContain('s3cret');
  });
});
