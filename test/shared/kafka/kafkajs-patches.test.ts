import kafkajs from 'kafkajs';
import Connection from 'kafkajs/src/network/connection.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import produceV7 from 'kafkajs/src/protocol/requests/produce/v7/response.js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { patchKafkajs, producedAnswer } from '../../../shared/kafka/kafkajs-patches.ts';

beforeEach(() => {
  patchKafkajs();
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function createQueue(maxInFlightRequests: number | null): RequestQueue {
  return new RequestQueue({
    maxInFlightRequests,
    requestTimeout: 1_000,
    enforceRequestTimeout: false,
    clientId: 'test',
    broker: 'localhost:9092',
    logger: { debug: () => undefined, warn: () => undefined },
  });
}

function push(queue: RequestQueue, correlationId: number): { sent: boolean } {
  const state = { sent: false };
  queue.push({
    entry: { correlationId, resolve: () => undefined, reject: () => undefined },
    expectResponse: true,
    sendRequest: () => {
      state.sent = true;
    },
  });
  return state;
}

describe('the version guard', () => {
  it('refuses another kafkajs', () => {
    expect(() => patchKafkajs('2.2.5')).toThrow(/2\.2\.5/);
  });
});

describe('a connection', () => {
  function cutOff(connected: boolean): Connection {
    const connection: unknown = Object.create(Connection.prototype, {
      isConnected: { value: () => connected },
      logDebug: { value: () => undefined },
      socketFactory: {
        value: () => {
          throw new Error('no socket in this test');
        },
      },
    });
    if (!(connection instanceof Connection)) throw new Error('not a connection');
    // Of an answer of 1,000 bytes the length and two bytes have come.
    connection.chunks = [Buffer.from([0, 0, 3, 232, 1, 2])];
    connection.bytesBuffered = 6;
    connection.bytesNeeded = 1_004;
    return connection;
  }

  it('that is opened again forgets the answer that was cut off', async () => {
    const connection = cutOff(false);
    await connection.connect().catch(() => undefined);
    expect([connection.chunks, connection.bytesBuffered, connection.bytesNeeded]).toEqual([[], 0, 4]);
  });

  it('that is open keeps what it has read', async () => {
    const connection = cutOff(true);
    await connection.connect();
    expect(connection.bytesBuffered).toBe(6);
  });
});

describe('the request queue', () => {
  it('arms no timer on an idle connection', () => {
    const queue = createQueue(null);
    queue.checkPendingRequests();
    push(queue, 1);
    queue.fulfillRequest({ correlationId: 1, payload: Buffer.alloc(0), size: 0 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('sends what was queued for want of room', () => {
    const queue = createQueue(1);
    push(queue, 1);
    const second = push(queue, 2);
    expect(second.sent).toBe(false);
    queue.fulfillRequest({ correlationId: 1, payload: Buffer.alloc(0), size: 0 });
    expect(second.sent).toBe(true);
    queue.fulfillRequest({ correlationId: 2, payload: Buffer.alloc(0), size: 0 });
    vi.advanceTimersByTime(1_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('sends what was queued while throttled, when that is over, and rests', () => {
    const queue = createQueue(null);
    queue.throttledUntil = Date.now() + 500;
    const request = push(queue, 1);
    vi.advanceTimersByTime(499);
    expect(request.sent).toBe(false);
    vi.advanceTimersByTime(1);
    expect(request.sent).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a produce answer', () => {
  it('is kept whole when one partition failed', async () => {
    const answer = [
      { topicName: 't', partition: 0, errorCode: 0, baseOffset: '7' },
      { topicName: 't', partition: 1, errorCode: 10, baseOffset: '-1' },
    ];
    const error: unknown = await produceV7
      .parse({ topics: [{ topicName: 't', partitions: answer }] })
      .catch((caught: unknown) => caught);
    expect(producedAnswer(error)).toEqual(answer);
    const wrapped = Object.assign(new kafkajs.KafkaJSNonRetriableError('wrapped'), { cause: error });
    expect(producedAnswer(wrapped)).toEqual(answer);
  });

  it('is not there for other errors', () => {
    expect(producedAnswer(new Error('other'))).toBeUndefined();
  });
});
