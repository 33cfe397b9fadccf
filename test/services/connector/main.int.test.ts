import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, test } from 'vitest';
import { createQueue, sendAll, testRegion } from '../../helpers/queues.ts';
import { createTopic, readAll } from '../../helpers/topics.ts';

const cli = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));

/** `sluice connector` as a process, and what it says on standard error. */
function start(env: Record<string, string>) {
  const child = spawn(process.execPath, [cli, 'connector'], {
    env: { PATH: '/usr/bin:/bin', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const exit = once(child, 'exit').then(([code]: unknown[]) => code);
  return {
    child,
    exit,
    said: () => text,
    async waitFor(words: string): Promise<void> {
      while (!text.includes(words)) {
        if (child.exitCode !== null) throw new Error(`ended before it said "${words}"`);
        await Promise.race([once(child.stderr, 'data'), exit]);
      }
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await exit;
    },
  };
}

async function settings(): Promise<Record<string, string>> {
  const made = await createQueue(inject('sqsEndpoint'));
  return {
    AWS_REGION: testRegion,
    AWS_ENDPOINT_URL_SQS: made.endpoint,
    SQS_QUEUE_URL: made.queueUrl,
    KAFKA_BROKERS: inject('kafkaBrokers'),
    RAW_TOPIC: await createTopic(inject('kafkaBrokers'), { partitions: 2 }),
    TRANSIT_SEALING: 'off',
  };
}

describe('sluice connector', () => {
  test('moves messages until SIGTERM, then ends with 0; warns that bodies are not sealed', async () => {
    const env = await settings();
    await using connector = start(env);
    await connector.waitFor('receiving');
    const ids = await sendAll(
      { endpoint: env['AWS_ENDPOINT_URL_SQS'] ?? '', queueUrl: env['SQS_QUEUE_URL'] ?? '' },
      ['one', 'two', 'three'],
    );
    let records = await readAll(inject('kafkaBrokers'), env['RAW_TOPIC'] ?? '');
    while (records.length < 3) records = await readAll(inject('kafkaBrokers'), env['RAW_TOPIC'] ?? '');
    connector.child.kill('SIGTERM');
    expect(await connector.exit).toBe(0);
    expect(records.map((record) => record.key.toString()).toSorted()).toEqual(ids.toSorted());
    expect(connector.said()).toMatch(
      /TRANSIT_SEALING=off.*\n.*receiving.*\n.*stopping.*\n.*"deleted":3.*stopped/s,
    );
  });

  test.each([
    ['Kafka', { KAFKA_BROKERS: '127.0.0.1:1' }, 'kafka', 'KAFKA_UNAVAILABLE'],
    ['SQS', { AWS_ENDPOINT_URL_SQS: 'http://127.0.0.1:1' }, 'sqs', 'SQS_UNAVAILABLE'],
  ])('waits for %s, saying so, and ends with 0 when told to', async (_, over, what, code) => {
    await using connector = start({ ...(await settings()), ...over });
    await connector.waitFor('outage: waiting');
    expect(connector.said()).toContain(`"what":"${what}","code":"${code}"`);
    connector.child.kill('SIGTERM');
    expect(await connector.exit).toBe(0);
  });

  test.each([
    [{ RAW_TOPIC: 'nobody-made-this' }, 1, /sluice: topic nobody-made-this\. .* \[KAFKA_TOPIC_MISSING\]/],
    [
      { SQS_QUEUE_URL: 'http://127.0.0.1/1/nobody' },
      1,
      /sluice: .*check SQS_QUEUE_URL\. \[SQS_QUEUE_MISSING\]/,
    ],
    [{ SQS_QUEUE_URL: '' }, 2, /sluice: SQS_QUEUE_URL is not set .* \[CONFIG_INVALID\]/],
    [{ TRANSIT_SEALING: 'on', VAULT_URL: 'file:/nonexistent/vault' }, 1, /\[VAULT_NOT_FOUND\]/],
  ])('%j: ends with %i and one sentence that says what to change', async (over, code, sentence) => {
    await using connector = start({ ...(await settings()), ...over });
    expect(await connector.exit).toBe(code);
    expect(connector.said()).toMatch(sentence);
  });
});
