import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { sampleLogins, seededRandom } from '../../services/demo/sample-logins.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { testSqsClient, type TestQueue } from './queues.ts';

/** A producer that sends until it is stopped, and knows every MessageId that SQS gave it. */
export interface Load {
  readonly sent: ReadonlySet<string>;
  /** Those of them that are of another shape. */
  readonly misshapen: ReadonlySet<string>;
  /** Counts messages that somebody else has put into the queue. */
  add(ids: Iterable<string>): void;
  /** Every login sent so far: what the canary looks for. */
  stop(): Promise<void>;
}

/** One in this many messages is of another shape: a dead letter. */
const deadEvery = 200;

/** Sends logins at about `perSecond`, in tens. */
export function startLoad(queue: TestQueue, options: { perSecond: number; seed: number }): Load {
  const client = testSqsClient(queue.endpoint);
  const logins = sampleLogins(seededRandom(options.seed));
  const sent = new Set<string>();
  const misshapen = new Set<string>();
  const stopped = new AbortController();
  let made = 0;
  const running = (async () => {
    const startedAt = Date.now();
    while (!stopped.signal.aborted) {
      const wrong = new Set<string>();
      const entries = Array.from({ length: 10 }, (_, i) => {
        made += 1;
        if (made % deadEvery === 0) wrong.add(String(i));
        const body = made % deadEvery === 0 ? { foo: made } : logins.next().value;
        return { Id: String(i), MessageBody: JSON.stringify(body) };
      });
      const answer = await client.send(
        new SendMessageBatchCommand({ QueueUrl: queue.queueUrl, Entries: entries }),
      );
      for (const { Id, MessageId } of answer.Successful ?? []) {
        if (MessageId === undefined) continue;
        sent.add(MessageId);
        if (Id !== undefined && wrong.has(Id)) misshapen.add(MessageId);
      }
      await sleep(startedAt + (made / options.perSecond) * 1_000 - Date.now(), stopped.signal);
    }
  })();
  return {
    sent,
    misshapen,
    add: (ids) => {
      for (const id of ids) sent.add(id);
    },
    async stop() {
      stopped.abort();
      await running;
      client.destroy();
    },
  };
}
