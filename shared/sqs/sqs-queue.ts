import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { silentLogger } from '../aws/client-options.ts';
import { JsonClient } from '../aws/json-client.ts';
import { PipelineError } from '../errors.ts';
import { classifySqs } from './classify.ts';
import { toQueueMessage, type WireMessage } from './message.ts';
import type { FailedEntry, Queue, QueueAttributes, QueueMessage, ReceiveOptions } from './ports.ts';

/** A long poll lasts 20 s at most; a connection that is silent for five more is dead. */
const pollTimeoutMs = 25_000;
/** Deletes and extensions take milliseconds; what takes longer is an outage, and ours to wait out. */
const callTimeoutMs = 5_000;
/** Deletes and visibility changes under way at once; more would queue out of sight. */
const callSockets = 32;

export interface SqsQueueOptions {
  readonly queueUrl: string;
  readonly region: string;
  /** Unset: the host of the queue's URL. */
  readonly endpoint?: string | undefined;
  /** How many receives may be under way at once: each holds a socket for as long as it polls. */
  readonly receivers: number;
}

const messageSystemAttributes = [
  'SentTimestamp',
  'ApproximateReceiveCount',
  'MessageGroupId',
  'AWSTraceHeader',
];
const queueAttributes = [
  'VisibilityTimeout',
  'ApproximateNumberOfMessages',
  'ApproximateNumberOfMessagesNotVisible',
  'ApproximateNumberOfMessagesDelayed',
] as const;

/** What the answer to a batch call says of its entries. */
interface BatchAnswer {
  readonly Successful?: readonly { readonly Id?: string }[];
  readonly Failed?: readonly {
    readonly Id?: string;
    readonly Code?: string;
    readonly SenderFault?: boolean;
  }[];
}

/**
 * {@link Queue} in SQS's JSON protocol. Long polls have sockets of their own, so that a delete never waits behind twenty seconds
 * of silence. Credentials are found as the AWS SDK finds them, by the SDK's own providers.
 */
export class SqsQueue implements Queue {
  readonly #queueUrl: string;
  readonly #poll: JsonClient;
  readonly #call: JsonClient;

  constructor(options: SqsQueueOptions) {
    this.#queueUrl = options.queueUrl;
    const common = {
      service: 'sqs',
      region: options.region,
      endpoint: options.endpoint ?? options.queueUrl,
      targetPrefix: 'AmazonSQS',
      credentials: defaultProvider({ logger: silentLogger }),
    };
    this.#poll = new JsonClient({ ...common, maxSockets: options.receivers, timeoutMs: pollTimeoutMs });
    this.#call = new JsonClient({ ...common, maxSockets: callSockets, timeoutMs: callTimeoutMs });
  }

  async receive(options: ReceiveOptions): Promise<QueueMessage[]> {
    const request = {
      QueueUrl: this.#queueUrl,
      MaxNumberOfMessages: options.max,
      WaitTimeSeconds: options.waitSeconds,
      MessageAttributeNames: ['All'],
      MessageSystemAttributeNames: messageSystemAttributes,
    };
    try {
      const { signal, admit } = options;
      const answered = await this.#poll.call('ReceiveMessage', request, { signal, admit });
      if (answered === undefined) return [];
      const answer: { Messages?: WireMessage[] } = objectOf(answered);
      return (answer.Messages ?? []).map(toQueueMessage);
    } catch (error) {
      if (options.signal.aborted) return [];
      throw classifySqs(error);
    }
  }

  async delete(receiptHandles: readonly string[]): Promise<FailedEntry[]> {
    return this.#batch('DeleteMessageBatch', receiptHandles, {});
  }

  async changeVisibility(receiptHandles: readonly string[], seconds: number): Promise<FailedEntry[]> {
    return this.#batch('ChangeMessageVisibilityBatch', receiptHandles, { VisibilityTimeout: seconds });
  }

  async attributes(): Promise<QueueAttributes> {
    try {
      const answer: { Attributes?: Partial<Record<(typeof queueAttributes)[number], string>> } = objectOf(
        await this.#call.call('GetQueueAttributes', {
          QueueUrl: this.#queueUrl,
          AttributeNames: queueAttributes,
        }),
      );
      const got = answer.Attributes ?? {};
      return {
        visibilityTimeoutSeconds: countOf(got.VisibilityTimeout),
        // The suffix is part of every FIFO queue's name; asking for the FifoQueue attribute fails on a standard queue.
        fifo: this.#queueUrl.endsWith('.fifo'),
        visible: countOf(got.ApproximateNumberOfMessages),
        inFlight: countOf(got.ApproximateNumberOfMessagesNotVisible),
        delayed: countOf(got.ApproximateNumberOfMessagesDelayed),
      };
    } catch (error) {
      throw classifySqs(error);
    }
  }

  /** Closes the sockets. Calls under way fail. */
  [Symbol.dispose](): void {
    this.#poll[Symbol.dispose]();
    this.#call[Symbol.dispose]();
  }

  /** **An entry counts as done only when the answer lists it as successful.** */
  async #batch(operation: string, handles: readonly string[], more: object): Promise<FailedEntry[]> {
    if (handles.length === 0) return [];
    const Entries = handles.map((handle, i) => ({ Id: String(i), ReceiptHandle: handle, ...more }));
    try {
      const answer: BatchAnswer = objectOf(
        await this.#call.call(operation, { QueueUrl: this.#queueUrl, Entries }),
      );
      const done = new Set((answer.Successful ?? []).map((entry) => entry.Id));
      if (done.size === handles.length) return [];
      const reasons = new Map((answer.Failed ?? []).map((entry) => [entry.Id, entry]));
      return handles.flatMap((receiptHandle, i) => {
        if (done.has(String(i))) return [];
        const reason = reasons.get(String(i));
        return [
          { receiptHandle, code: reason?.Code ?? 'Unanswered', senderFault: reason?.SenderFault ?? false },
        ];
      });
    } catch (error) {
      throw classifySqs(error);
    }
  }
}

/** A stranger at the endpoint's address may answer with anything. */
function objectOf(answer: unknown): object {
  if (typeof answer === 'object' && answer !== null) return answer;
  throw new PipelineError('SQS_UNAVAILABLE', 'The answer is not one of SQS');
}

function countOf(text: string | undefined): number {
  const count = Number(text);
  if (text === undefined || !Number.isInteger(count)) {
    throw new PipelineError('SQS_UNAVAILABLE', 'The queue attributes came back incomplete');
  }
  return count;
}
