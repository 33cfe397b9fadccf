import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { z } from 'zod';
import { look, type Where } from '../../../services/peek/look.ts';
import { TransitSealer } from '../../../shared/crypto/transit.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import type { OutgoingRecord } from '../../../shared/kafka/ports.ts';
import { toDeadLetter } from '../../../shared/streams/dead-letter.ts';
import { addDays, dayOf } from '../../../shared/time.ts';
import { openKeyKeeper, openTransitKeys } from '../../../shared/vault/open-vault.ts';
import { createPipeline, type Pipeline } from '../../helpers/pipeline.ts';
import { testKafkaClient } from '../../helpers/topics.ts';

// A process a command, ten in some tests.
vi.setConfig({ testTimeout: 180_000 });

const servers = {
  postgresAdminUrl: inject('postgresAdminUrl'),
  kafkaBrokers: inject('kafkaBrokers'),
  sqsEndpoint: inject('sqsEndpoint'),
};
const script = fileURLToPath(new URL('../../../bin/sluice.js', import.meta.url));
const why = ['--reason', 'asked for', '--ticket', 'T-1'];
const shape = z.looseObject({
  partition: z.number(),
  offset: z.string(),
  timestamp: z.string(),
  key: z.string(),
  bodyText: z.string().optional(),
  bodyBase64: z.string().optional(),
  closed: z.string().optional(),
});

let pipeline: Pipeline;
/** Raw records, oldest first: eight over two partitions. */
let ids: string[];
const noon = Date.parse(`${dayOf(Date.now())}T12:00:00Z`) - 86_400_000;
const yesterday = dayOf(noon);

beforeAll(async () => {
  pipeline = await createPipeline(servers, { partitions: 2 });
  const transit = new TransitSealer(await openTransitKeys({ VAULT_URL: pipeline.env['VAULT_URL'] ?? '' }));
  await transit.prepare(yesterday);
  await transit.prepare(addDays(yesterday, -1));
  ids = Array.from({ length: 8 }, () => randomUUID());
  const sealed = (eventId: string, sentAtMs: number, body: string | Buffer): Buffer => {
    const value = transit.seal(Buffer.from(body), { eventId, sentAtMs });
    if (value === undefined) throw new Error('no transit key');
    return value;
  };
  const records = ids.map((eventId, i): OutgoingRecord => {
    // The first two are of the day before.
    const timestampMs = noon + i * 60_000 - (i < 2 ? 86_400_000 : 0);
    const body = i === 4 ? Buffer.from([0x7b, 0xff, 0x7d]) : `{"CANARY-BODY":${i},"\u001b[2J":1}`;
    return {
      key: Buffer.from(eventId),
      timestampMs,
      value: i === 3 ? Buffer.from('{"CANARY-BODY":"plain"}') : sealed(eventId, timestampMs, body),
      headers: { 'attr.secret': Buffer.from('CANARY-ATTRIBUTE') },
    };
  });
  // Moved under another key: it does not open.
  const moved = records[6];
  if (moved !== undefined)
    records[6] = { ...moved, value: sealed(ids[7] ?? '', moved.timestampMs, 'CANARY-BODY') };
  const producer = createRecordProducer(testKafkaClient(servers.kafkaBrokers));
  const ofPartition = (partition: number) => records.filter((_, i) => i % 2 === partition);
  await producer.send(
    pipeline.rawTopic,
    [0, 1].map((partition) => ({ partition, records: ofPartition(partition) })),
  );
  const [first] = records;
  if (first === undefined) throw new Error('no record');
  const dead = toDeadLetter(
    {
      topic: pipeline.rawTopic,
      partition: 0,
      record: { ...first, offset: 0n, headers: first.headers ?? {} },
    },
    { code: 'FIELD_TYPE', stage: 'parse', field: 'ip' },
    noon,
  );
  await producer.send(pipeline.deadLetterTopic, [
    { partition: 1, records: [dead, { ...dead, key: Buffer.from('evil\u001b[2J\u009b key') }] },
  ]);
  await producer.close();
});
afterAll(() => pipeline[Symbol.asyncDispose]());

/** As {@link Pipeline.run}, with other settings. */
async function runWith(env: Readonly<Record<string, string>>, ...args: string[]) {
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...pipeline.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await closed, stdout, stderr };
}

async function records(...args: string[]) {
  const run = await pipeline.run('peek', ...args, '--json');
  return {
    ...run,
    records: run.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => shape.parse(JSON.parse(line))),
  };
}

async function logged(): Promise<string[]> {
  const { rows } = await pipeline.admin.execute<{ line: string }>(
    sql`select concat_ws('|', actor, action, ticket, subject) as line from access_log order by id`,
  );
  return rows.map(({ line }) => line);
}

const keys = (found: { records: readonly { key: string }[] }) => found.records.map(({ key }) => key);

describe('without bodies', () => {
  test('where records lie, how large and how sealed they are; nothing of what they say', async () => {
    const all = await records('raw');
    expect(all).toMatchObject({ code: 0, stderr: '' });
    expect(keys(all)).toEqual(ids);
    expect(all.records[0]).toEqual({
      topic: pipeline.rawTopic,
      partition: 0,
      offset: '0',
      timestamp: new Date(noon - 86_400_000).toISOString(),
      key: ids[0],
      eventId: ids[0],
      keyBytes: 36,
      valueBytes: 46 + 26,
      body: 'sealed',
      transitDay: addDays(yesterday, -1),
      headers: ['attr.secret'],
    });
    expect(all.records[3]).toMatchObject({ partition: 1, body: 'plain', transitDay: null });
    const shown = await pipeline.run('peek', 'raw');
    expect(shown.stdout.split('\n')[0]).toMatch(
      new RegExp(`^ +0/0 {2}.{24} {2}${ids[0] ?? ''} +72 B {2}sealed ${addDays(yesterday, -1)}$`),
    );
    expect(all.stdout + shown.stdout + shown.stderr).not.toContain('CANARY');
    expect(await logged()).toEqual([]);
  });

  test('the newest, of a partition, from an offset or a time on', async () => {
    const client = testKafkaClient(servers.kafkaBrokers);
    const looked = (where: Partial<Where>) =>
      look(client, pipeline.rawTopic, { limit: 20, ...where }, ({ record }) => record.key.toString());
    expect(await looked({ limit: 3 })).toEqual(ids.slice(-3));
    expect(await looked({ partition: 1, limit: 2 })).toEqual([ids[5], ids[7]]);
    expect(await looked({ partition: 1, fromOffset: 1n, limit: 2 })).toEqual([ids[3], ids[5]]);
    expect(await looked({ partition: 0, fromOffset: 99n })).toEqual([]);
    expect(await looked({ fromMs: noon - 43_200_000, limit: 4 })).toEqual(ids.slice(2, 6));
    expect(await looked({ fromMs: noon + 6 * 60_000 })).toEqual(ids.slice(6));
    expect(keys(await records('raw', '--partition', '1', '--from', yesterday, '--limit', '1'))).toEqual([
      ids[3],
    ]);
    expect((await pipeline.run('peek', 'raw', '--from', addDays(yesterday, 3))).stdout).toBe('no records\n');
  });

  test('dead letters say why they are there; a key that a terminal would obey is escaped', async () => {
    const { records: dead, stdout } = await records('dead');
    expect(dead[0]).toMatchObject({
      dead: {
        code: 'FIELD_TYPE',
        stage: 'parse',
        field: 'ip',
        detail: null,
        source: `${pipeline.rawTopic}/0/0`,
        attempts: '1',
        firstFailedAt: new Date(noon).toISOString(),
      },
    });
    const shown = await pipeline.run('peek', 'dead');
    expect(shown.stdout).toContain(`FIELD_TYPE  parse  ip  attempt 1  ${pipeline.rawTopic}/0/0`);
    expect(shown.stdout).toContain('evil\\u001b[2J\\u009b key');
    for (const output of [stdout, shown.stdout]) {
      expect(/\p{Cc}/u.test(output.replaceAll('\n', ''))).toBe(false);
      expect(output).not.toContain('CANARY');
    }
  });

  test('leaves no group behind and needs neither database nor vault', async () => {
    const bare = { VAULT_URL: '', RECOVERY_DATABASE_URL: '', VAULT_RECOVERY_KEY_FILE: '' };
    expect(await runWith(bare, 'peek', 'raw')).toMatchObject({ code: 0 });
    const admin = testKafkaClient(servers.kafkaBrokers).open().kafka.admin();
    await admin.connect();
    const { groups } = await admin.listGroups();
    await admin.disconnect();
    expect(groups.filter(({ groupId }) => groupId.includes('peek'))).toEqual([]);
  });
});

describe('with bodies', () => {
  test('each is opened after its entry; what does not open says why', async () => {
    const before = (await logged()).length;
    const { code, records: opened, stderr } = await records('raw', '--bodies', ...why);
    expect(code).toBe(1);
    expect(opened[2]?.bodyText).toBe('{"CANARY-BODY":2,"\u001b[2J":1}');
    expect(opened[3]?.bodyText).toBe('{"CANARY-BODY":"plain"}');
    expect(Buffer.from(opened[4]?.bodyBase64 ?? '', 'base64')).toEqual(Buffer.from([0x7b, 0xff, 0x7d]));
    expect(opened[6]).toMatchObject({ closed: expect.stringContaining('does not open') });
    expect(opened[6]?.bodyText).toBeUndefined();
    expect((await logged()).slice(before)).toEqual(
      opened.map(
        ({ partition, offset }) => `sluice_recoverer|peek|T-1|${pipeline.rawTopic}/${partition}/${offset}`,
      ),
    );
    expect(stderr).toMatch(new RegExp(`^access log: head ${before + 8}:[0-9a-f]{64}\\n$`));
    const shown = await pipeline.run('peek', 'raw', '--bodies', ...why, '--limit', '1');
    expect(shown).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('{"CANARY-BODY":7,"\\u001b[2J":1}'),
    });
    expect(/\p{Cc}/u.test(shown.stdout.replaceAll('\n', ''))).toBe(false);
    expect((await pipeline.run('audit', 'verify', '--no-heads')).code).toBe(0);
  });

  test('a dead letter opens by the identity of its record', async () => {
    const { records: opened } = await records('dead', '--bodies', ...why);
    expect(opened[0]?.bodyText).toContain('CANARY-BODY');
    expect(opened[1]).toMatchObject({ closed: expect.stringContaining('no MessageId') });
  });

  test('says so when the transit key has been destroyed', async () => {
    const keeper = await openKeyKeeper({ VAULT_URL: pipeline.env['VAULT_URL'] ?? '' });
    await keeper.destroyTransitKey(addDays(yesterday, -1));
    const { code, records: opened } = await records(
      'raw',
      '--bodies',
      ...why,
      '--partition',
      '0',
      '--from-offset',
      '0',
      '--limit',
      '2',
    );
    expect(code).toBe(1);
    expect(opened[0]).toMatchObject({
      closed: `the transit key of ${addDays(yesterday, -1)} has been destroyed: nothing can open it`,
    });
    expect(opened[1]?.bodyText).toContain('CANARY-BODY');
  });

  test.for([
    ['without a reason', ['--bodies', '--ticket', 'T'], {}, 2, '--reason'],
    ['without a ticket', ['--bodies', '--reason', 'r', '--ticket', ' '], {}, 2, '--ticket'],
    ['a reason without bodies', why, {}, 2, 'go with --bodies'],
    ['more than fit', ['--bodies', ...why, '--limit', '101'], {}, 2, 'at most 100'],
    ['an offset without its partition', ['--from-offset', '1'], {}, 2, '--partition'],
    [
      'an offset and a time',
      ['--from-offset', '1', '--from', '2026-11-24', '--partition', '0'],
      {},
      2,
      'not both',
    ],
    ['a time that is none', ['--from', 'noon'], {}, 2, '--from takes'],
    ['a partition that is none', ['--partition', '7'], {}, 2, 'no partition 7'],
    ['a topic that is none', [], { RAW_TOPIC: 'nowhere' }, 1, '[KAFKA_TOPIC_MISSING]'],
    [
      'with the key of another vault',
      ['--bodies', ...why],
      { VAULT_RECOVERY_KEY_FILE: 'other' },
      1,
      'another vault',
    ],
    [
      'without the key',
      ['--bodies', ...why],
      { VAULT_RECOVERY_KEY_FILE: '' },
      2,
      'VAULT_RECOVERY_KEY_FILE is not set',
    ],
    [
      'as another role',
      ['--bodies', ...why],
      { RECOVERY_DATABASE_URL: 'operator' },
      1,
      '[DATABASE_FORBIDDEN]',
    ],
    ['under approval', ['--bodies', ...why], { RECOVERY_REQUIRE_APPROVAL: 'on' }, 1, '[APPROVAL_MISSING]'],
  ] as const)('refused %s', async ([, args, env, code, said]) => {
    const before = await logged();
    const other = `${pipeline.directory}/other.key`;
    await writeFile(other, Buffer.alloc(32, 9));
    const changed = Object.entries(env).map(([name, value]): [string, string] => [
      name,
      value === 'other' ? other : value === 'operator' ? pipeline.database.urls.operator : value,
    ]);
    const run = await runWith(Object.fromEntries(changed), 'peek', 'raw', ...args);
    expect(run).toMatchObject({ code, stdout: '' });
    expect(run.stderr).toContain(said);
    expect(run.stderr).not.toContain('CANARY');
    expect(await logged()).toEqual(before);
    await rm(other);
  });
});
