import { sampleLogins, seededRandom } from '../../../services/demo/sample-logins.ts';
import { JsonClient } from '../../../shared/aws/json-client.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { testRegion, type TestQueue } from '../../helpers/queues.ts';
import { threeParts } from '../peers/envelopes.ts';

/** A producer sends what it has so often: 1,000 a second are ten every 10 ms, as one call. */
const tickMs = 10;
const perCall = 10;

/** Milliseconds since 1970, with fractions. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Sends logins at an even `perSecond` for `seconds`. @returns when the call that sent a message began, by MessageId */
export async function sendEvenly(
  queue: TestQueue,
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<Map<string, number>> {
  using client = new JsonClient({
    service: 'sqs',
    region: testRegion,
    endpoint: queue.endpoint,
    targetPrefix: 'AmazonSQS',
    credentials: async () => ({ accessKeyId: 'test', secretAccessKey: 'test' }),
    maxSockets: 32,
    timeoutMs: 10_000,
  });
  const logins = sampleLogins(seededRandom(7));
  const sentAt = new Map<string, number>();
  const send = async (count: number): Promise<void> => {
    const Entries = Array.from({ length: count }, (_, i) => ({
      Id: String(i),
      MessageBody: JSON.stringify(threeParts(logins.next().value)),
    }));
    const at = nowMs();
    const answer = await client.call('SendMessageBatch', { QueueUrl: queue.queueUrl, Entries });
    const ids = idsOf(answer);
    if (ids.length !== count) throw new Error('SQS refused a message');
    for (const id of ids) sentAt.set(id, at);
  };
  const calls: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let sent = 0; ;) {
    const passed = performance.now() - startedAt;
    if (passed >= seconds * 1_000) break;
    const due = Math.floor((passed / 1_000) * perSecond) + 1;
    for (; sent < due; sent += Math.min(perCall, due - sent)) calls.push(send(Math.min(perCall, due - sent)));
    await sleep(Math.max(1, tickMs - ((performance.now() - startedAt) % tickMs)));
  }
  await Promise.all(calls);
  return sentAt;
}

function idsOf(answer: unknown): string[] {
  if (typeof answer !== 'object' || answer === null || !('Successful' in answer)) return [];
  const { Successful: successful } = answer;
  if (!Array.isArray(successful)) return [];
  return successful.flatMap((entry: unknown) =>
    typeof entry === 'object' && entry !== null && 'MessageId' in entry ? [String(entry.MessageId)] : [],
  );
}
