/** Of "Common errors" in the API references of AWS: the credential is wrong, expired, or lacks a right. Waiting changes nothing. */
const refused = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'AuthFailure',
  'ExpiredToken',
  'ExpiredTokenException',
  'IncompleteSignature',
  'IncompleteSignatureException',
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'InvalidSecurity',
  'InvalidSignatureException',
  'InvalidToken',
  'MissingAuthenticationToken',
  'MissingAuthenticationTokenException',
  'NotAuthorized',
  'OptInRequired',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
]);

/** What the services call "too many requests", SQS and S3 among them with the status of a refusal (403, 503): waiting is the cure. */
const throttled = /Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|BandwidthLimit/;

const credentialsMissing =
  'No AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the process a role';

/**
 * What to say of an error with which AWS refuses the caller, or undefined for any other. Never its message, which names
 * the caller and what it asked for.
 */
export function awsRefusal(error: unknown): string | undefined {
  const name = awsErrorName(error);
  if (name === 'CredentialsProviderError') return credentialsMissing;
  if (throttled.test(name)) return undefined;
  return refused.has(name) || awsStatus(error) === 403 ? name : undefined;
}

/** `ECONNREFUSED` says more than `Error`; a name that is no identifier is not repeated. */
export function awsErrorName(error: unknown): string {
  if (!(error instanceof Error)) return 'not an Error';
  const name = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  return /^[A-Za-z][A-Za-z0-9._]{0,63}$/.test(name) ? name : 'unnamed error';
}

/** The HTTP status of an answer that the SDK made an error of. */
export function awsStatus(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}
