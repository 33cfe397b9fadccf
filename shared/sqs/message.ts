import { hash } from 'node:crypto';
import { PipelineError } from '../errors.ts';
import type { QueueMessage } from './ports.ts';

const none: Readonly<Record<string, Buffer>> = Object.freeze({});

/** A message attribute in SQS's JSON protocol; bytes are base64. */
interface WireAttribute {
  readonly DataType?: string;
  readonly StringValue?: string;
  readonly BinaryValue?: string;
}

/** A message in SQS's JSON protocol (API Reference, "ReceiveMessage"). */
export interface WireMessage {
  readonly MessageId?: string;
  readonly ReceiptHandle?: string;
  readonly Body?: string;
  readonly MD5OfBody?: string;
  readonly Attributes?: {
    readonly SentTimestamp?: string;
    readonly ApproximateReceiveCount?: string;
    readonly MessageGroupId?: string;
    readonly AWSTraceHeader?: string;
  };
  readonly MessageAttributes?: Readonly<Record<string, WireAttribute>>;
}

/**
 * A message of the wire as {@link QueueMessage}.
 *
 * @throws PipelineError SQS_UNAVAILABLE when the body is not the one that its MD5 was taken of, and when the server left out id, receipt or SentTimestamp: without them an event has
 * no identity, and **a time of our own would break replays**. The message stays in the queue.
 */
export function toQueueMessage(message: WireMessage): QueueMessage {
  const { MessageId, ReceiptHandle, Body = '', MD5OfBody, Attributes = {}, MessageAttributes } = message;
  const sentAtMs = Number(Attributes.SentTimestamp);
  if (!MessageId || !ReceiptHandle || Attributes.SentTimestamp === undefined || !Number.isInteger(sentAtMs)) {
    throw new PipelineError('SQS_UNAVAILABLE', 'A message came without MessageId or SentTimestamp');
  }
  if (MD5OfBody !== undefined && hash('md5', Body) !== MD5OfBody) {
    throw new PipelineError('SQS_UNAVAILABLE', 'A body came that is not what its MD5 says');
  }
  return {
    messageId: MessageId,
    receiptHandle: ReceiptHandle,
    body: Body,
    sentAtMs,
    receiveCount: Number(Attributes.ApproximateReceiveCount ?? 1),
    attributes: MessageAttributes === undefined ? none : attributeBytes(MessageAttributes),
    ...(Attributes.MessageGroupId === undefined ? {} : { groupId: Attributes.MessageGroupId }),
    ...(Attributes.AWSTraceHeader === undefined ? {} : { traceHeader: Attributes.AWSTraceHeader }),
  };
}

/** String and Number (with any custom suffix, `Number.float`) as UTF-8, Binary as it is. */
function attributeBytes(given: Readonly<Record<string, WireAttribute>>): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      value.BinaryValue === undefined
        ? Buffer.from(value.StringValue ?? '')
        : Buffer.from(value.BinaryValue, 'base64'),
    ]),
  );
}
