import {
  ChangeMessageVisibilityCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { sql } from 'drizzle-orm';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../db/client.ts';
import { capture } from '../../../services/local-stack/commands.ts';
import { stackEnvironment } from '../../../services/local-stack/environment.ts';
import { resetStack, stackStatus, startStack, stopStack } from '../../../services/local-stack/local-stack.ts';
import { isRunning } from '../../../services/local-stack/processes.ts';
import { readSaved, saveState, type StackState } from '../../../services/local-stack/stack-state.ts';
import { guardDirectory } from '../../helpers/servers.ts';

const cli = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));

/** The tests below follow one stack through its life, for its start is what costs time. */
describe('a stack', { timeout: 180_000 }, () => {
  let directory: string;
  let state: StackState;
  let stopAll: () => Promise<void>;
  const up = () => startStack({ directory, usualPorts: false, progress: () => {} });
  const sluice = (action: string, ...args: string[]) =>
    capture(process.execPath, [cli, 'stack', action, '--directory', directory, ...args]);

  beforeAll(async () => {
    directory = join(await mkdtemp(join(tmpdir(), 'sluice stack-')), ".it's");
    stopAll = await guardDirectory(directory);
    state = await up();
  }, 180_000);

  afterAll(async () => {
    await stopAll();
    await rm(join(directory, '..'), { recursive: true });
  });

  test('starts nothing twice, however many ask at once', async () => {
    const [one, two] = await Promise.all([up(), up()]);
    expect(one.processes).toEqual(state.processes);
    expect(two.processes).toEqual(state.processes);
    expect(Object.keys(state.processes).sort()).toEqual(['kafka-1', 'postgres', 'sqs']);
  });

  test('keeps what it holds from other users', async () => {
    for (const name of ['credentials', 'vault', 'kafka', 'sqs', 'log', 'postgres']) {
      expect([name, (await stat(join(directory, name))).mode & 0o077]).toEqual([name, 0]);
    }
    expect((await stat(directory)).mode & 0o066).toBe(0);
    expect((await stat(join(directory, 'stack.json'))).mode & 0o077).toBe(0);
  });

  test('listens on 127.0.0.1 alone', async () => {
    const { postgres, sqs, kafka, controllers } = state.ports;
    for (const port of [postgres, sqs, ...kafka, ...controllers]) {
      expect([port, await connects('127.0.0.1', port)]).toEqual([port, true]);
      // A listener on every interface would answer on the rest of 127/8 too.
      expect([port, await connects('127.0.0.2', port)]).toEqual([port, false]);
    }
  });

  test('status finds every server ready', async () => {
    const { code, stdout } = await sluice('status', '--json');
    const servers: { server: string; health: string }[] = JSON.parse(stdout);
    expect(servers.map(({ server, health }) => `${server} ${health}`)).toEqual([
      'postgres ready',
      'kafka-1 ready',
      'sqs ready',
    ]);
    expect(code).toBe(0);
  });

  test('a shell that evaluates env has the settings', async () => {
    const wanted = stackEnvironment(state);
    const { code, stdout } = await capture(
      'sh',
      [
        '-c',
        'eval "$("$0" "$1" stack env --directory "$2")" && exec env -0',
        process.execPath,
        cli,
        directory,
      ],
      { env: { PATH: process.env['PATH'] ?? '' } },
    );
    expect(code).toBe(0);
    const found = Object.fromEntries(
      stdout.split('\0').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    expect(found).toMatchObject(wanted);
    expect(JSON.parse((await sluice('env', '--json')).stdout)).toEqual(wanted);
  });

  test.each([
    ['DATABASE_URL', 'sluice_writer'],
    ['RECOVERY_DATABASE_URL', 'sluice_recoverer'],
    ['OPERATOR_DATABASE_URL', 'sluice_operator'],
    ['ADMIN_DATABASE_URL', 'postgres'],
  ])('%s logs in as %s, and not with another password', async (name, role) => {
    const url = new URL(stackEnvironment(state)[name] ?? '');
    expect(await ask(url.href, sql`select current_user as answer`)).toBe(role);
    url.password = 'guess';
    await expect(ask(url.href, sql`select 1 as answer`)).rejects.toMatchObject({
      code: 'DATABASE_FORBIDDEN',
    });
  });

  test('a message handed back is received again', async () => {
    const queue = stackQueue(state);
    await queue.send('kept');
    const ReceiptHandle = (await queue.receive()).ReceiptHandle;
    await queue.client.send(
      new ChangeMessageVisibilityCommand({ QueueUrl: queue.url, ReceiptHandle, VisibilityTimeout: 0 }),
    );
    expect((await queue.receive()).Body).toBe('kept');
    queue.client.destroy();
  });

  test('data outlives down and up, ports are kept, and one that is taken is left to its owner', async () => {
    const admin = stackEnvironment(state)['ADMIN_DATABASE_URL'] ?? '';
    await ask(admin, sql`create table kept as select 'row' as answer`);
    const before = state;
    await stopStack(directory);
    expect(await statuses(directory)).toEqual(['stopped', 'stopped', 'stopped']);
    expect((await sluice('env')).code).toBe(1);

    const squatter = createServer().listen(before.ports.postgres, '127.0.0.1');
    await once(squatter, 'listening');
    state = await up();
    squatter.close();

    expect(state.ports.postgres).not.toBe(before.ports.postgres);
    expect({ ...state.ports, postgres: 0 }).toEqual({ ...before.ports, postgres: 0 });
    const url = stackEnvironment(state)['ADMIN_DATABASE_URL'] ?? '';
    expect(await ask(url, sql`select answer from kept`)).toBe('row');
    const queue = stackQueue(state);
    expect((await queue.receive()).Body).toBe('kept');
    queue.client.destroy();
  });

  test('a failed start leaves nothing running that it started, and names the log', async () => {
    await stopStack(directory);
    const version = join(directory, 'postgres', 'data', 'PG_VERSION');
    await writeFile(version, '12\n');
    await expect(up()).rejects.toMatchObject({
      code: 'STACK',
      message: expect.stringContaining(join(directory, 'log', 'postgres.log')),
    });
    expect(await statuses(directory)).toEqual(['stopped', 'stopped', 'stopped']);
    await writeFile(version, '18\n');
  });

  test('a process that has the pid by now is left alone', async () => {
    const stranger = spawn('sleep', ['600']);
    await once(stranger, 'spawn');
    try {
      const saved = readSaved(directory);
      if (saved === undefined || stranger.pid === undefined) throw new Error('no state');
      const identity = { pid: stranger.pid, started: 'another boot:1' };
      saveState(directory, { ...saved, processes: { postgres: identity, 'kafka-1': identity } });
      expect(await isRunning(identity)).toBe(false);
      await stopStack(directory);
      expect(stranger.kill(0)).toBe(true);
      expect(await statuses(directory)).toEqual(['stopped', 'stopped', 'stopped']);
    } finally {
      stranger.kill();
    }
  });

  test('reset leaves nothing behind, any number of times', async () => {
    await resetStack(directory);
    await resetStack(directory);
    expect(await readdir(directory)).toEqual(['stack.lock']);
    expect(await stackStatus(directory)).toEqual([]);
    expect((await sluice('status')).code).toBe(1);
  });
});

async function connects(host: string, port: number): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function statuses(directory: string): Promise<string[]> {
  return (await stackStatus(directory)).map(({ health }) => health);
}

async function ask(url: string, query: ReturnType<typeof sql>): Promise<unknown> {
  await using database = openDatabase(url, {
    applicationName: 'test-stack',
    max: 1,
    statementTimeoutMs: 10_000,
  });
  const { rows } = await database.execute<{ answer: unknown }>(query);
  return rows[0]?.answer;
}

function stackQueue(state: StackState) {
  const environment = stackEnvironment(state);
  const url = environment['SQS_QUEUE_URL'] ?? '';
  const client = new SQSClient({
    region: environment['AWS_REGION'] ?? '',
    endpoint: environment['AWS_ENDPOINT_URL_SQS'] ?? '',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  });
  const receive = async () => {
    const { Messages } = await client.send(
      new ReceiveMessageCommand({ QueueUrl: url, WaitTimeSeconds: 5, VisibilityTimeout: 1 }),
    );
    const [message] = Messages ?? [];
    if (message === undefined) throw new Error('no message');
    return message;
  };
  const send = (MessageBody: string) => client.send(new SendMessageCommand({ QueueUrl: url, MessageBody }));
  return { url, client, send, receive };
}
