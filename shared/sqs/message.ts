import type { Message, MessageAttributeValue } from '@aws-sdk/client-sqs';
import { PipelineError } from '../errors.ts';
import type { QueueMessage } from './ports.ts';

const none: Readonly<Record<string, Buffer>> = Object.freeze({});

/**
 * A message of the SDK as {@link QueueMessage}.
 *
 * @throws PipelineError SQS_UNAVAILABLE when the server left out id, receipt or SentTimestamp: without them an event has
 * no identity, and **a time of our own would break replays**. The message stays in the queue.
 */
export function toQueueMessage(message: Message): QueueMessage {
  const { MessageId, ReceiptHandle, Body = '', Attributes = {}, MessageAttributes } = message;
  const sentAtMs = Number(Attributes.SentTimestamp);
  if (!MessageId || !ReceiptHandle || Attributes.SentTimestamp === undefined || !Number.isInteger(sentAtMs)) {
    throw new PipelineError('SQS_UNAVAILABLE', 'A message came without MessageId or SentTimestamp');
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
function attributeBytes(given: Record<string, MessageAttributeValue>): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      value.BinaryValue === undefined ? Buffer.from(value.StringValue ?? '') : Buffer.from(value.BinaryValue),
    ]),
  );
}
