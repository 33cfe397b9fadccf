import { SendMessageBatchCommand, SQSClient, type SendMessageBatchRequestEntry } from '@aws-sdk/client-sqs';
import { PipelineError } from '../../shared/errors.ts';
import { sleep } from '../../shared/lifecycle.ts';

/** A message for the queue. `tag` comes back with its MessageId. */
export interface Outgoing<T> {
  readonly body: string;
  readonly tag: T;
}

/** SQS takes ten messages and 1 MiB a request. */
const batchMessages = 10;
const batchBytes = 1_048_576;
const parallel = 4;

/**
 * Sends messages with the AWS SDK at a steady rate, a few requests at once, in order of `messages` but for that.
 * @param onSent the MessageId that SQS gave to each.
 * @throws PipelineError SQS_UNAVAILABLE when SQS refuses one.
 */
export async function sendAll<T>(
  options: { endpoint: string | undefined; region: string; queueUrl: string; perSecond: number },
  messages: Iterable<Outgoing<T>>,
  onSent: (messageId: string, tag: T) => void,
): Promise<void> {
  const client = new SQSClient({
    region: options.region,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
  });
  const batches = inBatches(messages);
  const startedAt = performance.now();
  let sent = 0;
  const sendBatches = async () => {
    for (let next = batches.next(); next.done !== true; next = batches.next()) {
      const batch = next.value;
      sent += batch.length;
      await sleep(startedAt + (sent / options.perSecond) * 1_000 - performance.now());
      await sendBatch(client, options.queueUrl, batch, onSent);
    }
  };
  try {
    await Promise.all(Array.from({ length: parallel }, sendBatches));
  } finally {
    client.destroy();
  }
}

async function sendBatch<T>(
  client: SQSClient,
  queueUrl: string,
  batch: readonly Outgoing<T>[],
  onSent: (messageId: string, tag: T) => void,
): Promise<void> {
  const entries: SendMessageBatchRequestEntry[] = batch.map(({ body }, i) => ({
    Id: String(i),
    MessageBody: body,
  }));
  const answer = await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: entries }));
  if (answer.Failed !== undefined && answer.Failed.length > 0) {
    throw new PipelineError(
      'SQS_UNAVAILABLE',
      `SQS refused a message: ${answer.Failed[0]?.Code ?? 'no code'}`,
    );
  }
  for (const { Id, MessageId } of answer.Successful ?? []) {
    const message = batch[Number(Id)];
    if (message !== undefined && MessageId !== undefined) onSent(MessageId, message.tag);
  }
}

function* inBatches<T>(messages: Iterable<Outgoing<T>>): Generator<Outgoing<T>[], undefined> {
  let batch: Outgoing<T>[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = Buffer.byteLength(message.body);
    if (batch.length === batchMessages || (batch.length > 0 && bytes + size > batchBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(message);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
