import { describe, expect, test } from 'vitest';
import { toQueueMessage } from '../../../shared/sqs/message.ts';

const received = {
  MessageId: 'm',
  ReceiptHandle: 'r',
  Body: 'b',
  Attributes: { SentTimestamp: '1790000000123', ApproximateReceiveCount: '3' },
};

describe('toQueueMessage', () => {
  test('a plain message', () => {
    expect(toQueueMessage(received)).toStrictEqual({
      messageId: 'm',
      receiptHandle: 'r',
      body: 'b',
      sentAtMs: 1790000000123,
      receiveCount: 3,
      attributes: {},
    });
  });

  test('group, trace header and attributes of all types', () => {
    const message = toQueueMessage({
      ...received,
      Attributes: { ...received.Attributes, MessageGroupId: 'g', AWSTraceHeader: 'Root=1' },
      MessageAttributes: {
        text: { DataType: 'String', StringValue: 'é' },
        count: { DataType: 'Number.int', StringValue: '007' },
        blob: { DataType: 'Binary', BinaryValue: Uint8Array.of(0, 255) },
      },
    });
    expect(message).toMatchObject({ groupId: 'g', traceHeader: 'Root=1' });
    expect(message.attributes).toStrictEqual({
      text: Buffer.from('é'),
      count: Buffer.from('007'),
      blob: Buffer.from([0, 255]),
    });
  });

  test.each([
    ['no id', { ...received, MessageId: undefined }],
    ['no receipt', { ...received, ReceiptHandle: undefined }],
    ['no time', { ...received, Attributes: {} }],
    ['a time that is none', { ...received, Attributes: { SentTimestamp: 'soon' } }],
  ])('%s: refused, never filled in', (_, message) => {
    expect(() => toQueueMessage(message)).toThrow(expect.objectContaining({ code: 'SQS_UNAVAILABLE' }));
  });
});
