import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
  type BatchResultErrorEntry,
} from '@aws-sdk/client-sqs';
import { PipelineError } from '../errors.ts';
import { classifySqs } from './classify.ts';
import { toQueueMessage } from './message.ts';
import type { FailedEntry, Queue, QueueAttributes, QueueMessage } from './ports.ts';

/** A long poll lasts 20 s at most; a connection that is silent for five more is dead. */
const pollTimeoutMs = 25_000;
/** Deletes and extensions take milliseconds; what takes longer is an outage, and ours to wait out. */
const callTimeoutMs = 5_000;
/** One retry inside the SDK, for the kept-alive socket that the server closed meanwhile. Outages are waited out by us. */
const maxAttempts = 2;
/** Deletes and visibility changes under way at once; more would queue inside the SDK, out of sight. */
const callSockets = 32;

export interface SqsQueueOptions {
  readonly queueUrl: string;
  readonly region: string;
  /** Unset: AWS's own, of the region. */
  readonly endpoint?: string | undefined;
  /** How many receives may be under way at once: each holds a socket for as long as it polls. */
  readonly receivers: number;
}

/**
 * {@link Queue} on the AWS SDK. Long polls have sockets of their own, so that a delete never waits behind twenty seconds
 * of silence. The SDK's MD5 check of received bodies stays on: on Node it is native and costs about a microsecond.
 */
export class SqsQueue implements Queue {
  readonly #queueUrl: string;
  readonly #poll: SQSClient;
  readonly #call: SQSClient;

  constructor(options: SqsQueueOptions) {
    this.#queueUrl = options.queueUrl;
    this.#poll = clientFor(options, options.receivers, pollTimeoutMs);
    this.#call = clientFor(options, callSockets, callTimeoutMs);
  }

  async receive(options: { max: number; waitSeconds: number; signal: AbortSignal }): Promise<QueueMessage[]> {
    try {
      const answer = await this.#poll.send(
        new ReceiveMessageCommand({
          QueueUrl: this.#queueUrl,
          MaxNumberOfMessages: options.max,
          WaitTimeSeconds: options.waitSeconds,
          MessageAttributeNames: ['All'],
          MessageSystemAttributeNames: [
            'SentTimestamp',
            'ApproximateReceiveCount',
            'MessageGroupId',
            'AWSTraceHeader',
          ],
        }),
        { abortSignal: options.signal },
      );
      return (answer.Messages ?? []).map(toQueueMessage);
    } catch (error) {
      if (options.signal.aborted) return [];
      throw classifySqs(error);
    }
  }

  async delete(receiptHandles: readonly string[]): Promise<FailedEntry[]> {
    return this.#batch(receiptHandles, () =>
      this.#call.send(
        new DeleteMessageBatchCommand({
          QueueUrl: this.#queueUrl,
          Entries: receiptHandles.map((handle, i) => ({ Id: String(i), ReceiptHandle: handle })),
        }),
      ),
    );
  }

  async changeVisibility(receiptHandles: readonly string[], seconds: number): Promise<FailedEntry[]> {
    return this.#batch(receiptHandles, () =>
      this.#call.send(
        new ChangeMessageVisibilityBatchCommand({
          QueueUrl: this.#queueUrl,
          Entries: receiptHandles.map((handle, i) => ({
            Id: String(i),
            ReceiptHandle: handle,
            VisibilityTimeout: seconds,
          })),
        }),
      ),
    );
  }

  async attributes(): Promise<QueueAttributes> {
    try {
      const { Attributes: got = {} } = await this.#call.send(
        new GetQueueAttributesCommand({
          QueueUrl: this.#queueUrl,
          AttributeNames: [
            'VisibilityTimeout',
            'ApproximateNumberOfMessages',
            'ApproximateNumberOfMessagesNotVisible',
            'ApproximateNumberOfMessagesDelayed',
          ],
        }),
      );
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
    this.#poll.destroy();
    this.#call.destroy();
  }

  /** **An entry counts as done only when the answer lists it as successful.** */
  async #batch(
    handles: readonly string[],
    send: () => Promise<{
      Successful: readonly { Id?: string | undefined }[] | undefined;
      Failed: readonly BatchResultErrorEntry[] | undefined;
    }>,
  ): Promise<FailedEntry[]> {
    if (handles.length === 0) return [];
    try {
      const answer = await send();
      const done = new Set((answer.Successful ?? []).map((entry) => entry.Id));
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

function clientFor(options: SqsQueueOptions, maxSockets: number, timeoutMs: number): SQSClient {
  const agent = { keepAlive: true, maxSockets };
  return new SQSClient({
    region: options.region,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    maxAttempts,
    // The SDK writes to the console where it has no logger; a warning of its may quote the queue URL.
    logger: silent,
    requestHandler: {
      logger: silent,
      connectionTimeout: 2_000,
      requestTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
}

const nothing = () => {};
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function countOf(text: string | undefined): number {
  const count = Number(text);
  if (text === undefined || !Number.isInteger(count)) {
    throw new PipelineError('SQS_UNAVAILABLE', 'The queue attributes came back incomplete');
  }
  return count;
}
