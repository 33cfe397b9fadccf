import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { Instead } from './http-gate.ts';

const strings = z.array(z.string()).min(1);
/** Of the language of IAM policies what ours use; anything else in one is an error, for a condition that is not evaluated proves nothing. */
const policyShape = z.strictObject({
  Version: z.literal('2012-10-17'),
  Statement: z
    .array(
      z.strictObject({
        Sid: z.string().regex(/^[A-Za-z0-9]+$/),
        Effect: z.enum(['Allow', 'Deny']),
        Action: strings,
        Resource: strings,
      }),
    )
    .min(1),
});
export type Policy = z.output<typeof policyShape>;

export function parsePolicy(text: string): Policy {
  return policyShape.parse(JSON.parse(text));
}

/** Denied unless a statement allows it, and whenever one denies it. Actions in any case; `*` and `?` as wildcards. */
export function permits(policy: Policy, action: string, resource: string): boolean {
  const applying = policy.Statement.filter(
    (statement) =>
      statement.Action.some((pattern) => matches(pattern.toLowerCase(), action.toLowerCase())) &&
      statement.Resource.some((pattern) => matches(pattern, resource)),
  );
  return applying.length > 0 && applying.every(({ Effect }) => Effect === 'Allow');
}

function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}

/**
 * A gate's rule that enforces policies as IAM does, by access key: moto evaluates no resource of Secrets Manager's. Signatures are
 * not checked. Throws for a request whose action it does not know.
 */
export function enforce(
  policyOf: (accessKeyId: string) => Policy | 'root' | undefined,
  account = '123456789012',
) {
  return (request: IncomingMessage, body: Buffer): Instead | undefined => {
    const credential = /Credential=([^/]+)\/\d+\/([^/]+)\/([^/]+)\//.exec(
      request.headers.authorization ?? '',
    );
    const [, accessKeyId = '', region = '', service = ''] = credential ?? [];
    const policy = policyOf(accessKeyId);
    if (policy === 'root') return undefined;
    if (service === 'secretsmanager') {
      if (policy === undefined) return json(400, 'UnrecognizedClientException');
      const asked = secretsManagerAsked(request, body, `arn:aws:secretsmanager:${region}:${account}:secret:`);
      return asked.every(([action, resource]) => permits(policy, action, resource))
        ? undefined
        : json(400, 'AccessDeniedException');
    }
    if (service === 's3') {
      if (policy === undefined) return xml(403, 'InvalidAccessKeyId');
      return permits(policy, ...s3Asked(request)) ? undefined : xml(403, 'AccessDenied');
    }
    throw new Error(`service ${service}`);
  };
}

type Asked = [action: string, resource: string];

/** What must all be permitted. A secret's ARN ends in six characters that AWS chooses, once it exists: ours must match with and without. */
function secretsManagerAsked(request: IncomingMessage, body: Buffer, arn: string): Asked[] {
  const [, name = ''] = /^secretsmanager\.(\w+)$/.exec(String(request.headers['x-amz-target'])) ?? [];
  const action = `secretsmanager:${name}`;
  if (name === 'ListSecrets') return [[action, '*']];
  const asked = z
    .union([z.object({ Name: z.string() }), z.object({ SecretId: z.string() })])
    .parse(JSON.parse(body.toString()));
  if ('Name' in asked) return [[action, arn + asked.Name]];
  return [
    [action, arn + asked.SecretId],
    [action, `${arn}${asked.SecretId}-a1B2c3`],
  ];
}

function s3Asked(request: IncomingMessage): Asked {
  const url = new URL(request.url ?? '', 'http://s3');
  const [, bucket = '', key = ''] = /^\/([^/]+)\/?(.*)$/.exec(decodeURIComponent(url.pathname)) ?? [];
  const has = (name: string) => url.searchParams.has(name);
  if (key === '') {
    const action = has('versions') ? 's3:ListBucketVersions' : has('list-type') ? 's3:ListBucket' : undefined;
    if (request.method === 'GET' && action !== undefined) return [action, `arn:aws:s3:::${bucket}`];
  } else {
    const object = `arn:aws:s3:::${bucket}/${key}`;
    if (request.method === 'GET') return [has('versionId') ? 's3:GetObjectVersion' : 's3:GetObject', object];
    if (request.method === 'PUT' || request.method === 'POST') return ['s3:PutObject', object];
    if (request.method === 'DELETE' && has('uploadId')) return ['s3:AbortMultipartUpload', object];
    if (request.method === 'DELETE') {
      return [has('versionId') ? 's3:DeleteObjectVersion' : 's3:DeleteObject', object];
    }
  }
  throw new Error(`what is ${request.method} ${url.search}?`);
}

/** The sentence names caller and secret, as AWS's does: ours must not repeat it. */
export function json(status: number, type: string): Instead {
  return (_request, answer) => {
    answer.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
    answer.end(JSON.stringify({ __type: type, message: 'user/203.0.113.7 is not authorized' }));
  };
}

function xml(status: number, code: string): Instead {
  return (_request, answer) => {
    answer.writeHead(status, { 'content-type': 'application/xml' });
    answer.end(`<Error><Code>${code}</Code><Message>user/203.0.113.7 is not authorized</Message></Error>`);
  };
}
