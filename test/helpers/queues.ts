import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SQSClient,
  type MessageAttributeValue,
  type SendMessageBatchRequestEntry,
} from '@aws-sdk/client-sqs';
import { randomUUID } from 'node:crypto';

export const testRegion = 'us-east-1';
/** SQS stand-ins take any credentials, and the SDK sends none without. */
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

export interface QueueOptions {
  fifo?: boolean;
  /** Seconds; 30 when left out. */
  visibilityTimeout?: number;
  /** Adds a dead-letter queue that takes over after this many receives. */
  redrive?: { maxReceiveCount: number };
}

export interface TestQueue {
  readonly endpoint: string;
  readonly queueUrl: string;
  readonly deadLetterUrl?: string;
}

/** A client for what the services do not do: make queues, send messages. The caller destroys it. */
export function testSqsClient(endpoint: string): SQSClient {
  return new SQSClient({ region: testRegion, endpoint, credentials, maxAttempts: 3 });
}

/** A queue with a random name. */
export async function createQueue(endpoint: string, options: QueueOptions = {}): Promise<TestQueue> {
  const suffix = options.fifo ? '.fifo' : '';
  const name = `test-${randomUUID()}`;
  const client = testSqsClient(endpoint);
  try {
    const create = async (queueName: string, extra: Record<string, string>): Promise<string> => {
      const { QueueUrl } = await client.send(
        new CreateQueueCommand({
          QueueName: `${queueName}${suffix}`,
          Attributes: {
            VisibilityTimeout: String(options.visibilityTimeout ?? 30),
            ...(options.fifo ? { FifoQueue: 'true', ContentBasedDeduplication: 'false' } : {}),
            ...extra,
          },
        }),
      );
      if (QueueUrl === undefined) throw new Error('no queue URL');
      return QueueUrl;
    };
    if (options.redrive === undefined) return { endpoint, queueUrl: await create(name, {}) };
    const deadLetterUrl = await create(`${name}-dead`, {});
    const { Attributes } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl: deadLetterUrl, AttributeNames: ['QueueArn'] }),
    );
    const queueUrl = await create(name, {
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: Attributes?.QueueArn,
        maxReceiveCount: options.redrive.maxReceiveCount,
      }),
    });
    return { endpoint, queueUrl, deadLetterUrl };
  } finally {
    client.destroy();
  }
}

export interface TestMessage {
  body: string;
  /** FIFO only: its group. */
  group?: string;
  attributes?: Record<string, MessageAttributeValue>;
}

/** Sends in order, in batches within SQS's limits (10 messages, 1 MiB). Returns the MessageIds in the order given. */
export async function sendAll(
  queue: Pick<TestQueue, 'endpoint' | 'queueUrl'>,
  messages: readonly (string | TestMessage)[],
): Promise<string[]> {
  const client = testSqsClient(queue.endpoint);
  const ids: string[] = [];
  try {
    for (const batch of batches(messages.map((m) => (typeof m === 'string' ? { body: m } : m)))) {
      const answer = await client.send(
        new SendMessageBatchCommand({
          QueueUrl: queue.queueUrl,
          Entries: batch.map((message, i) => toEntry(message, i)),
        }),
      );
      const byId = new Map((answer.Successful ?? []).map((entry) => [entry.Id, entry.MessageId]));
      for (let i = 0; i < batch.length; i++) {
        const id = byId.get(String(i));
        if (id === undefined) throw new Error(`message ${i} of a batch was not accepted`);
        ids.push(id);
      }
    }
    return ids;
  } finally {
    client.destroy();
  }
}

function toEntry(message: TestMessage, i: number): SendMessageBatchRequestEntry {
  return {
    Id: String(i),
    MessageBody: message.body,
    ...(message.group === undefined
      ? {}
      : { MessageGroupId: message.group, MessageDeduplicationId: randomUUID() }),
    ...(message.attributes === undefined ? {} : { MessageAttributes: message.attributes }),
  };
}

function* batches(messages: readonly TestMessage[]): Generator<TestMessage[]> {
  let batch: TestMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    // Attributes count too; 4 KiB is more than these tests give any message.
    const size = Buffer.byteLength(message.body) + (message.attributes === undefined ? 0 : 4_096);
    if (batch.length === 10 || (batch.length > 0 && bytes + size > 1_048_576)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(message);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Messages in the queue: visible, in flight and delayed. */
export async function messagesIn(queue: Pick<TestQueue, 'endpoint' | 'queueUrl'>): Promise<number> {
  const client = testSqsClient(queue.endpoint);
  try {
    const names = [
      'ApproximateNumberOfMessages',
      'ApproximateNumberOfMessagesNotVisible',
      'ApproximateNumberOfMessagesDelayed',
    ] as const;
    const { Attributes } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl: queue.queueUrl, AttributeNames: [...names] }),
    );
    return names.reduce((sum, name) => sum + Number(Attributes?.[name] ?? 0), 0);
  } finally {
    client.destroy();
  }
}
