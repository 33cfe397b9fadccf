import { queueConformance, timeoutSeconds } from '../shared/sqs/conformance.ts';
import { FakeQueue } from './fake-queue.ts';

queueConformance('FakeQueue', async ({ fifo }) => {
  let now = Date.UTC(2026, 10, 24);
  const queue = new FakeQueue({ clock: () => now, fifo, visibilityTimeoutSeconds: timeoutSeconds });
  return {
    queue,
    send: async (messages) =>
      messages.map(({ body, group, attributes }) =>
        queue.send(body, {
          ...(group === undefined ? {} : { groupId: group }),
          ...(attributes === undefined ? {} : { attributes }),
        }),
      ),
    elapse: async (seconds) => {
      now += seconds * 1000;
      queue.wake();
    },
    [Symbol.asyncDispose]: async () => {},
  };
});
