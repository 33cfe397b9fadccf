import { QueueDoesNotExist, SQSServiceException } from '@aws-sdk/client-sqs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { classifySqs } from '../../../shared/sqs/classify.ts';

function service(name: string, httpStatusCode = 400): SQSServiceException {
  return new SQSServiceException({
    name,
    $fault: 'client',
    $metadata: { httpStatusCode },
    message: 'AKIAEXAMPLE may not read 203.0.113.7',
  });
}

describe('classifySqs', () => {
  test.each([
    ['QueueDoesNotExist', 'SQS_QUEUE_MISSING'],
    ['AWS.SimpleQueueService.NonExistentQueue', 'SQS_QUEUE_MISSING'],
    ['AccessDeniedException', 'SQS_FORBIDDEN'],
    ['InvalidClientTokenId', 'SQS_FORBIDDEN'],
    ['SignatureDoesNotMatch', 'SQS_FORBIDDEN'],
    ['ExpiredToken', 'SQS_FORBIDDEN'],
    ['KmsAccessDenied', 'SQS_FORBIDDEN'],
    ['RequestThrottled', 'SQS_UNAVAILABLE'],
    ['ThrottlingException', 'SQS_UNAVAILABLE'],
    ['KmsThrottled', 'SQS_UNAVAILABLE'],
    ['OverLimit', 'SQS_UNAVAILABLE'],
    ['InternalError', 'SQS_UNAVAILABLE'],
    ['SomethingNew', 'SQS_UNAVAILABLE'],
  ])('%s is %s', (name, code) => {
    expect(classifySqs(service(name)).code).toBe(code);
  });

  // SQS says so with 403: github.com/async-aws/aws/issues/1227
  test.each(['RequestThrottled', 'ThrottlingException', 'KmsThrottled'])(
    '%s is an outage, with 403 too',
    (name) => {
      expect(classifySqs(service(name, 403)).code).toBe('SQS_UNAVAILABLE');
    },
  );

  test('403 under any other name is a missing right', () => {
    expect(classifySqs(service('Forbidden', 403)).code).toBe('SQS_FORBIDDEN');
  });

  test('the class of the SDK is recognised by its name', () => {
    const error = new QueueDoesNotExist({ $metadata: {}, message: 'no' });
    expect(classifySqs(error).code).toBe('SQS_QUEUE_MISSING');
  });

  test('missing credentials: one sentence with the remedy', () => {
    const error = Object.assign(new Error('Could not load'), { name: 'CredentialsProviderError' });
    expect(classifySqs(error)).toMatchObject({
      code: 'SQS_FORBIDDEN',
      message: expect.stringContaining('set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE'),
    });
  });

  test('the network: an outage, named by its system call', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:443'), { code: 'ECONNREFUSED' });
    expect(classifySqs(refused)).toMatchObject({ code: 'SQS_UNAVAILABLE', detail: 'ECONNREFUSED' });
  });

  test('what is classified stays as it is', () => {
    const known = new PipelineError('SQS_FORBIDDEN', 'x');
    expect(classifySqs(known)).toBe(known);
  });

  test('total, and never repeats a message', () => {
    const secret = 'p4yload with spaces';
    const errors = fc.oneof(
      fc.anything(),
      fc
        .record({ name: fc.string(), message: fc.constant(secret) })
        .map((o) => Object.assign(new Error(), o)),
      fc.record({ code: fc.anything(), name: fc.constant(secret) }).map((o) => Object.assign(new Error(), o)),
      fc.string().map((name) => service(name)),
    );
    fc.assert(
      fc.property(errors, (error) => {
        const classified = classifySqs(error);
        expect(classified).toBeInstanceOf(PipelineError);
        expect(classified.code).toMatch(/^SQS_/);
        expect(classified.message).not.toContain('p4yload');
        expect(classified.message).not.toContain('203.0.113.7');
      }),
    );
  });
});
