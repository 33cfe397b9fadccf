import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Signer } from '../../../shared/aws/signature.ts';

/** SHA-256 as the SDK's signer wants it. */
class Sha256 {
  readonly #hash;
  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(key));
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    throw new Error('not used');
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  if (data instanceof ArrayBuffer) return Buffer.from(data);
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

const word = fc.constantFrom('sqs', 'eu-west-1', 'us-gov-east-1', 'x');
const secret = fc.base64String({ minLength: 16, maxLength: 40 });

test('a request is signed as the SDK signs it, whatever the credentials, and again with those of tomorrow', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        region: word,
        service: word,
        host: fc.constantFrom('sqs.eu-west-1.amazonaws.com', '127.0.0.1:4566', 'localhost'),
        body: fc.oneof(fc.string(), fc.constantFrom('é', '\u{1f600}', '')),
        accessKeyId: fc.constantFrom('AKIDEXAMPLE', 'test'),
        secrets: fc.array(secret, { minLength: 1, maxLength: 3 }),
        sessionToken: fc.option(secret, { nil: undefined }),
        days: fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }),
      }),
      async ({ region, service, host, body, accessKeyId, secrets, sessionToken, days }) => {
        const signer = new Signer({ region, service });
        for (const secretAccessKey of secrets) {
          for (const day of days) {
            const nowMs = Date.UTC(2026, 10, 24 + day, 23, 59, 58, 765);
            const credentials = {
              accessKeyId,
              secretAccessKey,
              ...(sessionToken === undefined ? {} : { sessionToken }),
            };
            const ours = signer.headers({ host, target: 'AmazonSQS.X', body, nowMs }, credentials);
            const theirs = await new SignatureV4({
              credentials,
              region,
              service,
              sha256: Sha256,
              applyChecksum: false,
            }).sign(
              {
                method: 'POST',
                protocol: 'https:',
                hostname: host,
                path: '/',
                query: {},
                headers: { host, 'x-amz-target': 'AmazonSQS.X' },
                body,
              },
              { signingDate: new Date(nowMs) },
            );
            expect(ours).toEqual(theirs.headers);
          }
        }
      },
    ),
    { numRuns: 20 },
  );
});
