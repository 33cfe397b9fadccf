import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { sleep } from '../../../shared/lifecycle.ts';
import { SqsQueue } from '../../../shared/sqs/sqs-queue.ts';
import { createQueue, sendAll, testRegion, type TestQueue } from '../../helpers/queues.ts';
import { queueConformance, timeoutSeconds } from './conformance.ts';

const never = new AbortController().signal;

beforeAll(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
});
afterAll(() => vi.unstubAllEnvs());

function open({ queueUrl, endpoint }: Pick<TestQueue, 'queueUrl' | 'endpoint'>): SqsQueue {
  return new SqsQueue({ queueUrl, endpoint, region: testRegion, receivers: 2 });
}

queueConformance('SqsQueue', async ({ fifo }) => {
  const made = await createQueue(inject('sqsEndpoint'), { fifo, visibilityTimeout: timeoutSeconds });
  const queue = open(made);
  return {
    queue,
    send: (messages) =>
      sendAll(
        made,
        messages.map(({ body, group, attributes = {} }) => ({
          body,
          ...(group === undefined ? {} : { group }),
          attributes: Object.fromEntries(
            Object.entries(attributes).map(([name, value]) => [
              name,
              { DataType: 'Binary', BinaryValue: value },
            ]),
          ),
        })),
      ),
    elapse: (seconds) => sleep(seconds * 1000),
    [Symbol.asyncDispose]: async () => queue[Symbol.dispose](),
  };
});

describe('SqsQueue', () => {
  test('a body of 1 MiB, and attributes of every type', async () => {
    const made = await createQueue(inject('sqsEndpoint'));
    using queue = open(made);
    const body = 'x'.repeat(1_048_576);
    await sendAll(made, [
      body,
      {
        body: 'small',
        attributes: {
          text: { DataType: 'String', StringValue: 'é' },
          number: { DataType: 'Number', StringValue: '12.50' },
          blob: { DataType: 'Binary', BinaryValue: Uint8Array.of(1, 0, 255) },
        },
      },
    ]);
    const messages = [];
    while (messages.length < 2) {
      messages.push(...(await queue.receive({ max: 10, waitSeconds: 5, signal: never })));
    }
    expect(messages.find((message) => message.body !== 'small')?.body === body).toBe(true);
    expect(messages.find((message) => message.body === 'small')?.attributes).toEqual({
      text: Buffer.from('é'),
      number: Buffer.from('12.50'),
      blob: Buffer.from([1, 0, 255]),
    });
  });

  test('a queue that does not exist', async () => {
    const endpoint = inject('sqsEndpoint');
    using queue = open({ endpoint, queueUrl: `${endpoint}/000000000000/nobody-made-this` });
    const missing = { code: 'SQS_QUEUE_MISSING' };
    await expect(queue.attributes()).rejects.toMatchObject(missing);
    await expect(queue.receive({ max: 1, waitSeconds: 0, signal: never })).rejects.toMatchObject(missing);
    await expect(queue.delete(['r'])).rejects.toMatchObject(missing);
    await expect(queue.changeVisibility(['r'], 1)).rejects.toMatchObject(missing);
  });

  test('nobody listens at the endpoint: an outage, named', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    server.close();
    await once(server, 'close');
    const endpoint = `http://127.0.0.1:${port}`;
    using queue = open({ endpoint, queueUrl: `${endpoint}/000000000000/q` });
    await expect(queue.attributes()).rejects.toMatchObject({
      code: 'SQS_UNAVAILABLE',
      detail: 'ECONNREFUSED',
    });
  });

  test('something else listens there: an outage, and nothing of its answer is repeated', async () => {
    const server = createServer((_, response) => response.writeHead(404).end('<b>203.0.113.7</b>'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const endpoint = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    using queue = open({ endpoint, queueUrl: `${endpoint}/000000000000/q` });
    const error: unknown = await queue.attributes().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SQS_UNAVAILABLE' });
    expect(String(error)).not.toContain('203.0.113.7');
    server.close();
  });

  test('no credentials: one sentence with the remedy', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
    vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
    const made = await createQueue(inject('sqsEndpoint'));
    using queue = open(made);
    await expect(queue.attributes()).rejects.toMatchObject({
      code: 'SQS_FORBIDDEN',
      message: expect.stringMatching(/^No AWS credentials found: set AWS_ACCESS_KEY_ID/),
    });
  });
});
