import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { holdLimitMs } from '../../../services/connector/visibility.ts';
import { drain, harness } from './harness.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const seconds = (n: number) => vi.advanceTimersByTimeAsync(n * 1000);

describe('stopping', () => {
  test('idle: polls are ended, nothing else happens', async () => {
    const connector = harness();
    connector.start();
    await seconds(5);
    expect(connector.queue.receivesUnderWay).toBe(4);
    await drain(connector);
    expect(connector.queue.receivesUnderWay).toBe(0);
  });

  test('under load: what was received is published and deleted, the rest stays in the queue, visible', async () => {
    const connector = harness({ maxMessages: 50 });
    connector.fate = () => 'lost';
    for (let i = 0; i < 500; i++) connector.queue.send(`body ${i}`);
    connector.start();
    await vi.advanceTimersByTimeAsync(20);
    connector.fate = () => 'ack';
    const counts = await drain(connector);
    expect(counts.deleted).toBe(counts.received);
    expect(counts.received).toBeLessThan(500);
    expect(connector.queue.remaining).toBe(500 - counts.deleted);
    expect(connector.queue.inFlight).toBe(0);
  });

  test('with Kafka down: waits for it until forced, then hands everything back at once', async () => {
    const connector = harness();
    connector.fate = () => 'fail';
    for (let i = 0; i < 25; i++) connector.queue.send(`body ${i}`);
    connector.start();
    await seconds(2);
    expect(connector.queue.inFlight).toBe(25);
    connector.stop();
    await seconds(15);
    expect(connector.queue.inFlight).toBe(25);
    connector.force();
    expect(await connector.ended()).toMatchObject({ counts: { returned: 25, deleted: 0 } });
    expect(connector.queue.inFlight).toBe(0);
    expect(connector.queue.remaining).toBe(25);
  });

  test('while it waits for its servers: ends at once, without an error', async () => {
    const connector = harness();
    connector.queue.outages.set('attributes', 'SQS_UNAVAILABLE');
    connector.start();
    await seconds(30);
    expect(connector.lines.map((line) => line['msg'])).toEqual(['outage: waiting']);
    expect(connector.lines[0]).toMatchObject({ what: 'sqs' });
    expect(await drain(connector)).toMatchObject({ received: 0 });
  });
});

describe('outages', () => {
  test('of SQS at the start: waited out', async () => {
    const connector = harness();
    connector.queue.outages.set('attributes', 'SQS_UNAVAILABLE');
    connector.queue.send('body');
    connector.start();
    await seconds(30);
    connector.queue.outages.clear();
    await seconds(5);
    expect(await drain(connector)).toMatchObject({ deleted: 1 });
  });

  test('of Kafka: nothing more is received, and receiving resumes after it', async () => {
    const connector = harness();
    connector.fate = () => 'fail';
    for (let i = 0; i < 200; i++) connector.queue.send(`body ${i}`);
    connector.start();
    await seconds(2);
    const receives = () => connector.queue.calls.filter((call) => call.call === 'receive').length;
    const before = receives();
    const held = connector.queue.inFlight;
    await seconds(60);
    expect(receives()).toBe(before);
    expect(connector.queue.inFlight).toBe(held);
    connector.fate = () => 'ack';
    await seconds(10);
    expect(connector.queue.remaining).toBe(0);
    expect(await drain(connector)).toMatchObject({ received: 200, deleted: 200, returned: 0 });
  });

  test('of Kafka for minutes: handed back once; those receipts are never used again; all arrives in the end', async () => {
    const connector = harness();
    connector.fate = () => 'fail';
    for (let i = 0; i < 30; i++) connector.queue.send(`body ${i}`);
    connector.start();
    await seconds(holdLimitMs / 1000 + 10);
    expect(connector.queue.inFlight).toBe(0);
    const { calls } = connector.queue;
    const returned = new Set(calls.filter((call) => call.seconds === 0).flatMap((call) => call.receipts));
    expect(returned.size).toBe(30);
    const after = calls.length;
    await seconds(600);
    connector.fate = () => 'ack';
    await seconds(60);
    const counts = await drain(connector);
    expect(
      calls
        .slice(after)
        .flatMap((call) => call.receipts)
        .filter((receipt) => returned.has(receipt)),
    ).toEqual([]);
    expect(connector.queue.remaining).toBe(0);
    expect(counts).toMatchObject({ returned: 30, deleted: 30, received: 60, published: 60 });
    expect(new Set(connector.records().flat()).size).toBe(30);
  });

  test('of SQS while messages are held: they are published, and deleted when it is back', async () => {
    const connector = harness({ visibilityTimeoutSeconds: 60 });
    for (let i = 0; i < 30; i++) connector.queue.send(`body ${i}`);
    connector.queue.outages.set('delete', 'SQS_UNAVAILABLE');
    connector.start();
    await seconds(30);
    expect(connector.records().flat()).toHaveLength(30);
    connector.queue.outages.clear();
    await seconds(5);
    expect(await drain(connector)).toMatchObject({ deleted: 30, expired: 0 });
  });

  test('many receivers in one outage: one line when it begins, one when it is over', async () => {
    const connector = harness();
    connector.start();
    await seconds(1);
    connector.queue.outages.set('receive', 'SQS_UNAVAILABLE');
    await seconds(50);
    connector.queue.outages.clear();
    await seconds(5);
    await drain(connector);
    expect(
      connector.lines.filter((line) => line['what'] !== undefined).map((line) => [line['what'], line['msg']]),
    ).toEqual([
      ['sqs receive', 'outage: waiting'],
      ['sqs receive', 'outage over'],
    ]);
  });
});
