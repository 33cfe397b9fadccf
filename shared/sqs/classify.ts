import { awsErrorName, awsRefusal } from '../aws/errors.ts';
import { PipelineError } from '../errors.ts';

const queueMissing = new Set([
  'QueueDoesNotExist',
  'NonExistentQueue',
  'AWS.SimpleQueueService.NonExistentQueue',
  'InvalidAddress',
]);

/** The KMS errors that a queue under a customer's key adds. */
const keyRefused = new Set([
  'KmsAccessDenied',
  'KmsDisabled',
  'KmsInvalidKeyUsage',
  'KmsInvalidState',
  'KmsNotFound',
  'KmsOptInRequired',
]);

/**
 * Total: whatever the SDK, the network or a stranger at the endpoint's address throws becomes one of three codes.
 * SQS_QUEUE_MISSING and SQS_FORBIDDEN stop the process, so only what is certain gets them; throttling, outages and
 * **everything unknown is SQS_UNAVAILABLE**, which waits and loses nothing. The detail holds the error's name or the
 * system call's code, never its message.
 */
export function classifySqs(error: unknown): PipelineError {
  if (error instanceof PipelineError) return error;
  const name = awsErrorName(error);
  if (queueMissing.has(name)) return new PipelineError('SQS_QUEUE_MISSING', name);
  const refusal = keyRefused.has(name) ? name : awsRefusal(error);
  return new PipelineError(refusal === undefined ? 'SQS_UNAVAILABLE' : 'SQS_FORBIDDEN', refusal ?? name);
}
