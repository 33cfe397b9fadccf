import { PipelineError } from '../errors.ts';

const queueMissing = new Set([
  'QueueDoesNotExist',
  'NonExistentQueue',
  'AWS.SimpleQueueService.NonExistentQueue',
  'InvalidAddress',
]);

/** Of "Common errors" in the SQS API reference, and the KMS errors that a queue under a customer's key adds. */
const forbidden = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'AuthFailure',
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSecurity',
  'KmsAccessDenied',
  'KmsDisabled',
  'KmsInvalidKeyUsage',
  'KmsInvalidState',
  'KmsNotFound',
  'KmsOptInRequired',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'NotAuthorized',
  'OptInRequired',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
]);

const credentialsMissing =
  'No AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the process a role';

/**
 * Total: whatever the SDK, the network or a stranger at the endpoint's address throws becomes one of three codes.
 * SQS_QUEUE_MISSING and SQS_FORBIDDEN stop the process, so only what is certain gets them; throttling, outages and
 * **everything unknown is SQS_UNAVAILABLE**, which waits and loses nothing. The detail holds the error's name or the
 * system call's code, never its message.
 */
export function classifySqs(error: unknown): PipelineError {
  if (error instanceof PipelineError) return error;
  const name = nameOf(error);
  if (name === 'CredentialsProviderError') return new PipelineError('SQS_FORBIDDEN', credentialsMissing);
  if (queueMissing.has(name)) return new PipelineError('SQS_QUEUE_MISSING', name);
  if (forbidden.has(name) || statusOf(error) === 403) return new PipelineError('SQS_FORBIDDEN', name);
  return new PipelineError('SQS_UNAVAILABLE', name);
}

/** `ECONNREFUSED` says more than `Error`; a name that is no identifier is not repeated. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'not an Error';
  const name = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return /^[A-Za-z][A-Za-z0-9._]{0,63}$/.test(name) ? name : 'unnamed error';
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
