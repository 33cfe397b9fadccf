import { describe, expect, test } from 'vitest';
import type { Queue, QueueMessage } from '../../../shared/sqs/ports.ts';

/** What a conformance test needs besides the port. The queue's visibility timeout is {@link timeoutSeconds}. */
export interface QueueUnderTest extends AsyncDisposable {
  readonly queue: Queue;
  /** MessageIds in order. */
  send(
    messages: readonly { body: string; group?: string; attributes?: Record<string, Buffer> }[],
  ): Promise<string[]>;
  /** Lets that much time pass for the queue. */
  elapse(seconds: number): Promise<void>;
}

export const timeoutSeconds = 2;
const never = new AbortController().signal;

/** The promises of shared/sqs/ports.ts, for every adapter of it and for the fake. */
export function queueConformance(
  name: string,
  open: (options: { fifo: boolean }) => Promise<QueueUnderTest>,
): void {
  describe(`${name} as a Queue`, () => {
    test('says what it is like', async () => {
      await using standard = await open({ fifo: false });
      await standard.send([{ body: 'a' }, { body: 'b' }]);
      expect(await standard.queue.attributes()).toMatchObject({
        visibilityTimeoutSeconds: timeoutSeconds,
        fifo: false,
        visible: 2,
        inFlight: 0,
      });
      await standard.queue.receive({ max: 1, waitSeconds: 0, signal: never });
      expect(await standard.queue.attributes()).toMatchObject({ visible: 1, inFlight: 1 });
      await using fifo = await open({ fifo: true });
      expect(await fifo.queue.attributes()).toMatchObject({ fifo: true });
    });

    test('hands over body, identity, time and attributes unchanged', async () => {
      await using under = await open({ fifo: false });
      const attributes = { tenant: Buffer.from('é'), blob: Buffer.from([0, 1, 255]) };
      const [id] = await under.send([{ body: '{"a":"é\\n"}', attributes }]);
      const [message] = await receiveAll(under.queue, 1);
      expect(message).toMatchObject({ messageId: id, body: '{"a":"é\\n"}', receiveCount: 1 });
      expect(message?.sentAtMs).toSatisfy(Number.isInteger);
      expect(message?.attributes).toEqual(attributes);
      expect(message?.groupId).toBeUndefined();
    });

    test('gives at most what is asked for, and nothing from an empty queue', async () => {
      await using under = await open({ fifo: false });
      expect(await under.queue.receive({ max: 10, waitSeconds: 0, signal: never })).toEqual([]);
      await under.send(Array.from({ length: 15 }, (_, i) => ({ body: `body ${i}` })));
      expect(
        (await under.queue.receive({ max: 3, waitSeconds: 0, signal: never })).length,
      ).toBeLessThanOrEqual(3);
      const rest = await receiveAll(under.queue, 12);
      expect(new Set(rest.map((message) => message.messageId)).size).toBe(12);
    });

    test('an aborted poll resolves empty', async () => {
      await using under = await open({ fifo: false });
      const abort = new AbortController();
      const poll = under.queue.receive({ max: 10, waitSeconds: 20, signal: abort.signal });
      abort.abort();
      expect(await poll).toEqual([]);
      expect(await under.queue.receive({ max: 10, waitSeconds: 20, signal: abort.signal })).toEqual([]);
    });

    test('a poll that waits gets what is sent meanwhile', async () => {
      await using under = await open({ fifo: false });
      const poll = under.queue.receive({ max: 10, waitSeconds: 20, signal: never });
      const [id] = await under.send([{ body: 'late' }]);
      expect((await poll).map((message) => message.messageId)).toEqual([id]);
    });

    test('what is received is out of sight until its timeout, and then comes again under another receipt', async () => {
      await using under = await open({ fifo: false });
      await under.send([{ body: 'a' }]);
      const [first] = await receiveAll(under.queue, 1);
      expect(await under.queue.receive({ max: 10, waitSeconds: 0, signal: never })).toEqual([]);
      await under.elapse(timeoutSeconds + 0.5);
      const [second] = await receiveAll(under.queue, 1);
      expect(second).toMatchObject({
        messageId: first?.messageId,
        receiveCount: 2,
        sentAtMs: first?.sentAtMs,
      });
      expect(second?.receiptHandle).not.toBe(first?.receiptHandle);
    });

    test('what is deleted does not come again', async () => {
      await using under = await open({ fifo: false });
      await under.send(Array.from({ length: 10 }, (_, i) => ({ body: `body ${i}` })));
      const [kept, ...others] = await receiveAll(under.queue, 10);
      expect(await under.queue.delete(others.map((message) => message.receiptHandle))).toEqual([]);
      await under.elapse(timeoutSeconds + 0.5);
      expect((await receiveAll(under.queue, 1)).map((message) => message.messageId)).toEqual([
        kept?.messageId,
      ]);
      expect(await under.queue.receive({ max: 10, waitSeconds: 0, signal: never })).toEqual([]);
    });

    test('visibility can be extended, and 0 hands back at once', async () => {
      await using under = await open({ fifo: false });
      await under.send([{ body: 'a' }, { body: 'b' }]);
      const [extended, returned] = await receiveAll(under.queue, 2);
      const handleOf = (message: QueueMessage | undefined) => [message?.receiptHandle ?? ''];
      expect(await under.queue.changeVisibility(handleOf(extended), 60)).toEqual([]);
      expect(await under.queue.changeVisibility(handleOf(returned), 0)).toEqual([]);
      const [again] = await receiveAll(under.queue, 1);
      expect(again?.messageId).toBe(returned?.messageId);
      await under.queue.delete(handleOf(again));
      await under.elapse(timeoutSeconds + 0.5);
      expect(await under.queue.receive({ max: 10, waitSeconds: 0, signal: never })).toEqual([]);
      expect(await under.queue.delete(handleOf(extended))).toEqual([]);
    });

    test('of a batch, only the entry with a dead receipt fails, and asking again cannot help', async () => {
      await using under = await open({ fifo: false });
      await under.send([{ body: 'a' }, { body: 'b' }]);
      const [dead, alive] = await receiveAll(under.queue, 2);
      await under.queue.delete([dead?.receiptHandle ?? '']);
      const failed = await under.queue.changeVisibility(
        [dead?.receiptHandle ?? '', alive?.receiptHandle ?? ''],
        60,
      );
      expect(failed).toMatchObject([{ receiptHandle: dead?.receiptHandle, senderFault: true }]);
    });

    test('an empty batch is no call', async () => {
      await using under = await open({ fifo: false });
      expect(await under.queue.delete([])).toEqual([]);
      expect(await under.queue.changeVisibility([], 0)).toEqual([]);
    });

    test('FIFO: a group comes in order, and nothing of it while one of it is out', async () => {
      await using under = await open({ fifo: true });
      await under.send(
        Array.from({ length: 12 }, (_, i) => ({ body: String(i), group: i % 2 === 0 ? 'even' : 'odd' })),
      );
      const arrived: Record<string, number[]> = { even: [], odd: [] };
      for (let taken = 0; taken < 12;) {
        const messages = await under.queue.receive({ max: 10, waitSeconds: 5, signal: never });
        expect(messages.length).toBeGreaterThan(0);
        for (const message of messages) arrived[message.groupId ?? '']?.push(Number(message.body));
        const groupsOut = new Set(messages.map((message) => message.groupId));
        const meanwhile = await under.queue.receive({ max: 10, waitSeconds: 0, signal: never });
        expect(meanwhile.filter((message) => groupsOut.has(message.groupId))).toEqual([]);
        for (const message of meanwhile) arrived[message.groupId ?? '']?.push(Number(message.body));
        const both = [...messages, ...meanwhile].map((message) => message.receiptHandle);
        for (let i = 0; i < both.length; i += 10) await under.queue.delete(both.slice(i, i + 10));
        taken += both.length;
      }
      expect(arrived).toEqual({ even: [0, 2, 4, 6, 8, 10], odd: [1, 3, 5, 7, 9, 11] });
    });
  });
}

/** SQS may give fewer than it has: asks until `count` are here. */
async function receiveAll(queue: Queue, count: number): Promise<QueueMessage[]> {
  const messages: QueueMessage[] = [];
  while (messages.length < count) {
    const more = await queue.receive({ max: 10, waitSeconds: 5, signal: never });
    if (more.length === 0) throw new Error(`${messages.length} of ${count} messages came`);
    messages.push(...more);
  }
  return messages;
}
