import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createPipeline, type Pipeline } from '../helpers/pipeline.ts';

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await createPipeline(servers, { partitions: 1 });
});
afterAll(() => pipeline[Symbol.asyncDispose]());

type Settings = (env: Readonly<Record<string, string>>) => Record<string, string>;

/** A URL among the settings, changed. */
const changed =
  (name: string, change: (url: URL) => void): Settings =>
  (env) => {
    const url = new URL(env[name] ?? '');
    change(url);
    return { [name]: url.href };
  };
const wrongPassword = (name: string) =>
  changed(name, (url) => {
    url.password = 'canary-password';
  });
const database = (name: string, other: string) =>
  changed(name, (url) => {
    url.pathname = `/${other}`;
  });
const asRoleOf =
  (name: string, other: string): Settings =>
  (env) => ({ [name]: env[other] ?? '' });
const set =
  (more: Record<string, string>): Settings =>
  () =>
    more;
const nobody = 'nobody-made-this';

describe('what waiting cannot cure is a stop with a sentence', () => {
  test.for([
    ['writer', 'wrong password', wrongPassword('DATABASE_URL'), 'DATABASE_FORBIDDEN'],
    ['writer', 'no such database', database('DATABASE_URL', nobody), 'DATABASE_SCHEMA'],
    ['writer', 'no tables', database('DATABASE_URL', 'postgres'), 'DATABASE_SCHEMA'],
    ['writer', 'no right to insert', asRoleOf('DATABASE_URL', 'OPERATOR_DATABASE_URL'), 'DATABASE_FORBIDDEN'],
    ['writer', 'no raw topic', set({ RAW_TOPIC: nobody }), 'KAFKA_TOPIC_MISSING'],
    ['writer', 'no dead-letter topic', set({ DEAD_LETTER_TOPIC: nobody }), 'KAFKA_TOPIC_MISSING'],
    ['writer', 'no vault', set({ VAULT_URL: 'file:/nonexistent' }), 'VAULT_NOT_FOUND'],
    ['connector', 'no queue', set({ SQS_QUEUE_URL: 'http://127.0.0.1/1/nobody' }), 'SQS_QUEUE_MISSING'],
    ['connector', 'no topic', set({ RAW_TOPIC: nobody }), 'KAFKA_TOPIC_MISSING'],
    ['connector', 'no vault', set({ VAULT_URL: 'file:/nonexistent' }), 'VAULT_NOT_FOUND'],
    ['maintain --every 1h', 'wrong password', wrongPassword('ADMIN_DATABASE_URL'), 'DATABASE_FORBIDDEN'],
    ['maintain --every 1h', 'no tables', database('ADMIN_DATABASE_URL', 'postgres'), 'DATABASE_SCHEMA'],
    [
      'maintain --every 1h',
      'no right to make partitions',
      asRoleOf('ADMIN_DATABASE_URL', 'OPERATOR_DATABASE_URL'),
      'DATABASE_FORBIDDEN',
    ],
    ['maintain --every 1h', 'no vault', set({ VAULT_URL: 'file:/nonexistent' }), 'VAULT_NOT_FOUND'],
    ['migrate', 'wrong password', wrongPassword('ADMIN_DATABASE_URL'), 'DATABASE_FORBIDDEN'],
    ['verify', 'wrong password', wrongPassword('OPERATOR_DATABASE_URL'), 'DATABASE_FORBIDDEN'],
    ['verify', 'no topic', set({ RAW_TOPIC: nobody }), 'KAFKA_TOPIC_MISSING'],
    ['dlq list', 'no topic', set({ DEAD_LETTER_TOPIC: nobody }), 'KAFKA_TOPIC_MISSING'],
    ['dlq redrive', 'no raw topic', set({ RAW_TOPIC: nobody }), 'KAFKA_TOPIC_MISSING'],
  ] as const)('%s: %s', async ([command, , settings, code]) => {
    const { code: exit, stderr } = await pipeline.runWith(settings(pipeline.env), ...command.split(' '));
    const said = stderr.trimEnd().split('\n').at(-1);
    expect({ exit, said }).toEqual({
      exit: 1,
      said: expect.stringMatching(new RegExp(`^sluice: .+ \\[${code}\\]$`)),
    });
    expect(stderr).not.toContain('canary-password');
  });

  test.for([
    ['dlq list', set({ KAFKA_BROKERS: '127.0.0.1:1' }), 'KAFKA_UNAVAILABLE'],
    ['verify', set({ OPERATOR_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/x' }), 'DATABASE_UNAVAILABLE'],
    ['maintain', set({ KAFKA_BROKERS: '127.0.0.1:1' }), 'KAFKA_UNAVAILABLE'],
  ] as const)(
    'a command that runs once does not wait for a server: %s ends with 3',
    async ([command, settings, code]) => {
      const { code: exit, stderr } = await pipeline.runWith(settings(pipeline.env), ...command.split(' '));
      expect({ exit, stderr }).toEqual({ exit: 3, stderr: expect.stringContaining(`[${code}]`) });
    },
  );

  test.for(['writer', 'connector', 'maintain --every 1h'])(
    '%s: a health port that is taken',
    async (command) => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const { code, stderr } = await pipeline.runWith({ HEALTH_PORT: String(port) }, ...command.split(' '));
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: expect.stringContaining(`HEALTH_PORT ${port} is taken on this machine`),
      });
      server.close();
    },
  );
});
