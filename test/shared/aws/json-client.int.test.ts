import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { awsErrorName, awsStatus } from '../../../shared/aws/errors.ts';
import { JsonClient } from '../../../shared/aws/json-client.ts';

interface Seen {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A server that answers its n-th request with the n-th answer, the last one again and again. */
async function serve(...answers: ((response: ServerResponse) => void)[]) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push({ headers: request.headers, body });
      answers[Math.min(seen.length, answers.length) - 1]?.(response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const client = new JsonClient({
    service: 'sqs',
    region: 'eu-west-1',
    endpoint: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/ignored/path`,
    credentials: async () => ({
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'secret',
      sessionToken: 'token',
    }),
    targetPrefix: 'AmazonSQS',
    maxSockets: 2,
    timeoutMs: 500,
  });
  return {
    client,
    seen,
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const json =
  (status: number, body: object, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end(JSON.stringify(body));
const hangUp = (response: ServerResponse) => void response.socket?.destroy();
const silence = () => undefined;

describe('JsonClient', () => {
  test('sends what the protocol wants, signed, with the session', async () => {
    await using at = await serve(json(200, { Messages: [] }));
    expect(await at.client.call('ReceiveMessage', { QueueUrl: 'é' })).toEqual({ Messages: [] });
    expect(at.seen[0]?.body).toBe('{"QueueUrl":"é"}');
    expect(at.seen[0]?.headers).toMatchObject({
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'AmazonSQS.ReceiveMessage',
      'x-amz-security-token': 'token',
      authorization: expect.stringMatching(
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/sqs\/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target, Signature=[0-9a-f]{64}$/,
      ),
    });
  });

  test.each([
    ['a connection that breaks', hangUp],
    ['an error of the server', json(503, { __type: 'ServiceUnavailable' })],
  ])('%s: once more at once, and no more', async (_, failure) => {
    await using works = await serve(failure, json(200, {}));
    expect(await works.client.call('X', {})).toEqual({});
    await using never = await serve(failure);
    await expect(never.client.call('X', {})).rejects.toBeInstanceOf(Error);
    expect(never.seen).toHaveLength(2);
  });

  test.each([
    [
      json(400, { __type: 'com.amazonaws.sqs#QueueDoesNotExist', message: 'of 123456789012' }),
      'QueueDoesNotExist',
      400,
    ],
    [json(403, { __type: 'AccessDenied' }), 'AccessDenied', 403],
    [
      json(400, {}, { 'x-amzn-query-error': 'AWS.SimpleQueueService.NonExistentQueue;Sender' }),
      'AWS.SimpleQueueService.NonExistentQueue',
      400,
    ],
    [json(404, {}), 'UnknownError', 404],
  ])(
    'errors have their name and status, nothing of their text, and are not repeated',
    async (answer, name, status) => {
      await using at = await serve(answer);
      const error: unknown = await at.client.call('X', {}).catch((thrown: unknown) => thrown);
      expect([awsErrorName(error), awsStatus(error)]).toEqual([name, status]);
      expect(String(error)).not.toContain('123456789012');
      expect(at.seen).toHaveLength(1);
    },
  );

  test('an answer waits unread until it is admitted; one that is not is undefined, and not asked for again', async () => {
    const large = { text: 'é'.repeat(200_000) };
    await using at = await serve(json(200, large, { 'content-length': '400011' }), json(200, large));
    const asked: (number | undefined)[] = [];
    const admit = async (answer: boolean, bytes: number | undefined) => {
      asked.push(bytes);
      return answer;
    };
    expect(await at.client.call('X', {}, { admit: (bytes) => admit(true, bytes) })).toEqual(large);
    expect(await at.client.call('X', {}, { admit: (bytes) => admit(false, bytes) })).toBeUndefined();
    expect(asked).toEqual([400_011, undefined]);
    expect(at.seen).toHaveLength(2);
  });

  test('whether it is admitted may be known at once', async () => {
    const large = { text: 'x'.repeat(300_000) };
    await using at = await serve(json(200, large));
    expect(await at.client.call('X', {}, { admit: () => false })).toBeUndefined();
    expect(await at.client.call('X', {}, { admit: () => true })).toEqual(large);
  });

  test('a connection that breaks while its answer waits: once more at once; what was waiting is of no more use', async () => {
    const asked = Promise.withResolvers<boolean>();
    const breaks = (response: ServerResponse) => {
      response.writeHead(200, { 'content-length': '2' }).flushHeaders();
      setTimeout(() => hangUp(response), 50);
    };
    await using at = await serve(breaks, json(200, {}));
    let times = 0;
    expect(await at.client.call('X', {}, { admit: () => ++times > 1 || asked.promise })).toEqual({});
    asked.resolve(true);
    expect(times).toBe(2);
    expect(await at.client.call('X', {})).toEqual({});
  });

  test('a call that waits for a connection is aborted at once too, and does not keep the one it would have had', async () => {
    await using at = await serve(silence, silence, json(200, {}));
    const over = new AbortController();
    const busy = [1, 2].map(() => at.client.call('X', {}, { signal: over.signal }));
    while (at.seen.length < 2) await new Promise(setImmediate);
    const abort = new AbortController();
    const waiting = at.client.call('X', {}, { signal: abort.signal });
    setImmediate(() => abort.abort());
    const failed = (name: string) => (error: unknown) => [name, error instanceof Error && error.name];
    const first = await Promise.race([
      waiting.catch(failed('waiting')),
      ...busy.map((call) => call.catch(failed('busy'))),
    ]);
    expect(first).toEqual(['waiting', 'AbortError']);
    over.abort();
    await Promise.allSettled(busy);
    expect(await at.client.call('X', {})).toEqual({});
    expect(at.seen).toHaveLength(3);
  });

  test('an answer that comes in pieces is whole, wherever it is cut', async () => {
    const bytes = Buffer.from(JSON.stringify({ text: 'é€😀' }));
    const inPieces = (response: ServerResponse) => {
      response.writeHead(200, { 'content-length': String(bytes.length) });
      for (const byte of bytes) response.write(Buffer.of(byte));
      response.end();
    };
    await using at = await serve(inPieces);
    expect(await at.client.call('X', {})).toEqual({ text: 'é€😀' });
  });

  test('an answer that is no JSON is an error, not repeated', async () => {
    await using at = await serve((response) => void response.end('<html>'));
    await expect(at.client.call('X', {})).rejects.toThrow(SyntaxError);
    expect(at.seen).toHaveLength(1);
  });

  test('a clock that is wrong is set by what the server says, and the call succeeds', async () => {
    const theirs = new Date(Date.now() + 3_600_000);
    const skewed = json(403, { __type: 'InvalidSignatureException' }, { date: theirs.toUTCString() });
    await using at = await serve(skewed, json(200, {}));
    expect(await at.client.call('X', {})).toEqual({});
    const hour = theirs.toISOString().replaceAll(/[-:]/g, '').slice(0, 11);
    expect(at.seen[1]?.headers['x-amz-date']).toContain(hour);
  });

  test('silence ends at the limit; an abort ends at once and is not repeated', async () => {
    await using silent = await serve(silence);
    await expect(silent.client.call('X', {})).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' });
    await using aborted = await serve(silence);
    await expect(aborted.client.call('X', {}, { signal: AbortSignal.timeout(50) })).rejects.toBeInstanceOf(
      Error,
    );
    expect(aborted.seen).toHaveLength(1);
  });
});
