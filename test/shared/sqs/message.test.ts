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
        blob: { DataType: 'Binary', BinaryValue: Buffer.from([0, 255]).toString('base64') },
      },
    });
    expect(message).toMatchObject({ groupId: 'g', traceHeader: 'Root=1' });
    expect(message.attributes).toStrictEqual({
      text: Buffer.from('é'),
      count: Buffer.from('007'),
      blob: Buffer.from([0, 255]),
    });
  });

  test('a body that is not what its MD5 says is refused, one that is passes', () => {
    expect(toQueueMessage({ ...received, MD5OfBody: '92eb5ffee6ae2fec3ad71c777531578f' }).body).toBe('b');
    expect(() => toQueueMessage({ ...received, MD5OfBody: '0cc175b9c0f1b6a831c399e269772661' })).toThrow(
      expect.objectContaining({ code: 'SQS_UNAVAILABLE' }),
    );
  });

  test.each([
    ['no id', { ...received, MessageId: '' }],
    ['no receipt', { ...received, ReceiptHandle: '' }],
    ['no time', { ...received, Attributes: {} }],
    ['a time that is none', { ...received, Attributes: { SentTimestamp: 'soon' } }],
  ])('%s: refused, never filled in', (_, message) => {
    expect(() => toQueueMessage(message)).toThrow(expect.objectContaining({ code: 'SQS_UNAVAILABLE' }));
  });
});
