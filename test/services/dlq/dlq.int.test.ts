import { randomUUID } from 'node:crypto';
import { describe, expect, inject, test } from 'vitest';
import { toFilter } from '../../../shared/streams/selection.ts';
import { list, listingText } from '../../../services/dlq/list.ts';
import { show, wholeText } from '../../../services/dlq/show.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import type { RecordProducer } from '../../../shared/kafka/ports.ts';
import { toDeadLetter } from '../../../shared/streams/dead-letter.ts';
import { identityOf } from '../../../shared/streams/identity.ts';
import { msPerDay } from '../../../shared/time.ts';
import { readAll } from '../../helpers/topics.ts';
import { deadTopic, redriveWith, sentAtMs, type DeadTopic } from './fixtures.ts';

const brokers = inject('kafkaBrokers');

const listed = (topic: DeadTopic, filter = {}, more: { limit?: number; all?: boolean } = {}) =>
  list(topic.client, topic.deadLetterTopic, { filter: toFilter(filter), limit: 100, all: false, ...more });

/** What the writer does with every redriven record that fails again. */
async function failAgain(topic: DeadTopic): Promise<void> {
  for (const record of await topic.raw()) {
    const source = { topic: topic.rawTopic, partition: record.partition, record };
    const dead = toDeadLetter(source, { code: 'BODY_NOT_JSON', stage: 'parse' }, sentAtMs + msPerDay);
    await topic.append(topic.deadLetterTopic, record.partition, [dead]);
  }
}

describe('list', () => {
  test('counts by code, field and day; one of one source that was written twice; no body, key or attribute', async () => {
    const topic = await deadTopic(brokers);
    await topic.add([
      { code: 'FIELD_TYPE', reason: { field: 'locale' }, partition: 0 },
      { code: 'FIELD_TYPE', reason: { field: 'locale' }, partition: 1 },
      { code: 'FIELD_TYPE', reason: { field: 'ip' }, sentAtMs: sentAtMs + msPerDay, partition: 1 },
      { code: 'DATABASE_REJECTED', reason: { stage: 'insert', detail: 'SQLSTATE 22003' }, partition: 2 },
      { partition: 2, offset: 500n, eventId: '00000000-0000-4000-8000-000000000001' },
      { partition: 2, offset: 500n, eventId: '00000000-0000-4000-8000-000000000001' },
    ]);
    await topic.append(topic.deadLetterTopic, 0, [
      { key: Buffer.from('stranger'), value: Buffer.from('secret'), timestampMs: sentAtMs },
    ]);
    const listing = await listed(topic);
    expect(listing).toMatchObject({ open: 5, redriven: 0, repeated: 1, foreign: 1 });
    expect(listing.counts).toEqual([
      { code: 'FIELD_TYPE', field: 'locale', day: '2026-11-20', open: 2, redriven: 0 },
      { code: 'DATABASE_REJECTED', field: null, day: '2026-11-20', open: 1, redriven: 0 },
      { code: 'FIELD_TYPE', field: null, day: '2026-11-20', open: 1, redriven: 0 },
      { code: 'FIELD_TYPE', field: 'ip', day: '2026-11-21', open: 1, redriven: 0 },
    ]);
    expect(listing.entries).toHaveLength(5);
    expect(listing.entries.find(({ at }) => at === '2/0')).toMatchObject({
      state: 'open',
      code: 'DATABASE_REJECTED',
      stage: 'insert',
      detail: 'SQLSTATE 22003',
      attempts: 1,
      firstFailedAt: '2026-11-20T12:01:00.000Z',
      source: `${topic.rawTopic}/2/3`,
      sentAt: '2026-11-20T12:00:00.000Z',
    });
    const text = listingText(listing) + JSON.stringify(listing);
    expect(text).not.toMatch(/body of|secret|stranger/);
    expect(text).toContain('SQLSTATE 22003');
  });

  test.for([
    [{ code: ['APP_VERSION'] }, [1]],
    [{ code: ['APP_VERSION', 'FIELD_TYPE'] }, [0, 1, 2]],
    [{ from: '2026-11-21' }, [2]],
    [{ to: '2026-11-21T00:00:00Z' }, [0, 1]],
    [{ from: '2026-11-20T12:00:00Z', to: '2026-11-20T12:00:00.001Z' }, [0, 1]],
    [{ failedFrom: '2026-11-22' }, [1]],
    [{ failedTo: '2026-11-22' }, [0, 2]],
    [{ partition: [1, 2] }, [1, 2]],
    [{ eventId: ['00000000-0000-4000-8000-00000000000B'] }, [1]],
    [{ eventId: ['00000000-0000-4000-8000-00000000000f'] }, []],
  ] as const)('filter %j finds %j', async ([filter, expected]) => {
    const topic = await shared;
    const { entries } = await listed(topic, filter);
    const found = new Set(entries.map(({ eventId }) => eventIds.indexOf(eventId ?? '')));
    expect(found).toEqual(new Set(expected));
  });
  const eventIds = ['a', 'b', 'c'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`);
  const shared = deadTopic(brokers).then(async (topic) => {
    await topic.add([
      { eventId: eventIds[0] ?? '', partition: 0 },
      {
        eventId: eventIds[1] ?? '',
        partition: 1,
        code: 'APP_VERSION',
        failedAtMs: Date.parse('2026-11-22T00:00:00Z'),
      },
      { eventId: eventIds[2] ?? '', partition: 2, sentAtMs: sentAtMs + msPerDay },
    ]);
    return topic;
  });

  test('what a filter cannot mean is a usage error', () => {
    expect(() => toFilter({ code: ['KAFKA_UNAVAILABLE'] })).toThrow('no code of a dead letter');
    expect(() => toFilter({ from: 'yesterday' })).toThrow('--from takes');
    expect(() => toFilter({ eventId: ['1'] })).toThrow('--event-id takes');
  });

  test('an empty topic and a limit of none', async () => {
    const topic = await deadTopic(brokers);
    expect(listingText(await listed(topic))).toBe(`${topic.deadLetterTopic}: 0 open, 0 redriven\n`);
    await topic.add([{}, {}]);
    expect(await listed(topic, {}, { limit: 0 })).toMatchObject({ open: 2, entries: [] });
  });
});

describe('show', () => {
  test('all of one but body, key and the values of attributes', async () => {
    const topic = await deadTopic(brokers);
    const record = {
      offset: 9n,
      key: Buffer.from('a group with a name'),
      value: Buffer.from('secret'),
      timestampMs: sentAtMs,
      headers: {
        'message-id': Buffer.from('00000000-0000-4000-8000-00000000000a'),
        'attr.tenant': Buffer.from('somebody'),
      },
    };
    const source = { topic: topic.rawTopic, partition: 1, record };
    await topic.append(topic.deadLetterTopic, 1, [
      toDeadLetter(source, { code: 'IP_ADDRESS', stage: 'parse', field: 'ip' }, sentAtMs + 5),
    ]);
    const whole = await show(topic.client, topic.deadLetterTopic, '1/0');
    expect(whole).toMatchObject({
      at: '1/0',
      state: 'open',
      code: 'IP_ADDRESS',
      field: 'ip',
      eventId: '00000000-0000-4000-8000-00000000000a',
      id: `${topic.rawTopic}/1/9#1`,
      valueBytes: 6,
      headers: { 'attr.tenant': 8 },
    });
    expect(JSON.stringify(whole) + wholeText(whole)).not.toMatch(/secret|somebody|a group/);
    expect(wholeText(whole)).toContain('attr.tenant (8 bytes)');
    await topic.redrive();
    expect(await show(topic.client, topic.deadLetterTopic, '1/0')).toMatchObject({ state: 'redriven' });
    for (const at of ['1/1', '1/7', '1', 'x/0']) {
      await expect(show(topic.client, topic.deadLetterTopic, at)).rejects.toMatchObject({ code: 'USAGE' });
    }
  });
});

describe('redrive', () => {
  test('puts each back once, under its identity, and says the second time that it has', async () => {
    const topic = await deadTopic(brokers);
    const ids = await topic.add(Array.from({ length: 50 }, (_, i) => ({ partition: i % 3 })));
    expect(await topic.redrive({ dryRun: true })).toMatchObject({ dryRun: true, redriven: 50 });
    expect(await topic.raw()).toEqual([]);
    expect(await topic.redrive()).toMatchObject({
      redriven: 50,
      byCode: { FIELD_TYPE: 50 },
      alreadyRedriven: 0,
      unfinished: false,
    });
    const raw = await topic.raw();
    expect(raw).toHaveLength(50);
    expect(new Set(raw.map((record) => identityOf(record)?.eventId))).toEqual(new Set(ids));
    for (const record of raw) {
      expect(record.value.toString()).toBe(`body of ${record.key.toString()}`);
      expect(identityOf(record)?.sentAtMs).toBe(sentAtMs);
    }
    expect(await topic.redrive()).toMatchObject({ redriven: 0, alreadyRedriven: 50 });
    expect(await topic.raw()).toHaveLength(50);
    expect(await listed(topic)).toMatchObject({ open: 0, redriven: 50, foreign: 0, entries: [] });
    expect((await listed(topic, {}, { all: true })).entries).toHaveLength(50);
    expect(await topic.redrive({ again: true })).toMatchObject({ redriven: 50 });
    expect(await topic.raw()).toHaveLength(100);
  });

  test('one that fails again is there once more, with its attempts, however often it was put back', async () => {
    const topic = await deadTopic(brokers);
    const ids = await topic.add([{ partition: 0 }, { partition: 1 }]);
    await topic.redrive();
    await topic.redrive({ again: true });
    await failAgain(topic);
    const listing = await listed(topic);
    expect(listing).toMatchObject({ open: 2, redriven: 2, repeated: 2 });
    expect(
      listing.entries.map(({ attempts, code, firstFailedAt }) => [attempts, code, firstFailedAt]),
    ).toEqual([
      [2, 'BODY_NOT_JSON', '2026-11-20T12:01:00.000Z'],
      [2, 'BODY_NOT_JSON', '2026-11-20T12:01:00.000Z'],
    ]);
    expect(new Set(listing.entries.map(({ eventId }) => eventId))).toEqual(new Set(ids));
    expect(await topic.redrive()).toMatchObject({ redriven: 2, alreadyRedriven: 2 });
  });

  test('cut off between record and mark: the next run puts it back once more, and a failure of either is one', async () => {
    const topic = await deadTopic(brokers);
    await topic.add([{}]);
    const inner = createRecordProducer(topic.client);
    const stop = new Error('cut');
    const cut: RecordProducer = {
      partitionCount: (name) => inner.partitionCount(name),
      close: () => inner.close(),
      send: (name, batches) =>
        name === topic.rawTopic ? inner.send(name, batches) : new Promise((_, reject) => reject(stop)),
    };
    const ended = redriveWith(topic.client, cut, topic.rawTopic, topic.deadLetterTopic);
    const outcome = await Promise.race([
      ended.then(() => 'ended'),
      new Promise((resolve) => setTimeout(() => resolve('waiting for the mark'), 3_000)),
    ]);
    expect(outcome).toBe('waiting for the mark');
    expect(await topic.raw()).toHaveLength(1);
    expect(await topic.redrive()).toMatchObject({ redriven: 1 });
    await failAgain(topic);
    expect(await listed(topic)).toMatchObject({ open: 1, redriven: 1, repeated: 1 });
    await inner.close();
  });

  test('a limit and a stop leave the rest for the next run', async () => {
    const topic = await deadTopic(brokers);
    await topic.add(Array.from({ length: 30 }, () => ({})));
    expect(await topic.redrive({ limit: 10 })).toMatchObject({ redriven: 10, unfinished: true });
    const stop = new AbortController();
    const stopped = await topic.redrive({
      perSecond: 50,
      signal: stop.signal,
      onRedriven: () => stop.abort(),
    });
    expect(stopped).toMatchObject({ redriven: 5, alreadyRedriven: expect.any(Number), unfinished: true });
    expect(await topic.redrive()).toMatchObject({ redriven: 15, alreadyRedriven: 15, unfinished: false });
    expect(new Set((await topic.raw()).map(({ key }) => key.toString())).size).toBe(30);
    expect(await topic.raw()).toHaveLength(30);
  });

  test('what matches and nothing else; days that are shredded and keys that are gone are left alone', async () => {
    const topic = await deadTopic(brokers);
    const [wanted] = await topic.add([
      { code: 'APP_VERSION' },
      { code: 'FIELD_TYPE' },
      { code: 'DAY_SHREDDED' },
      { code: 'TRANSIT_KEY_GONE' },
    ]);
    expect(await topic.redrive({}, { code: ['APP_VERSION'] })).toMatchObject({ redriven: 1, hopeless: 0 });
    expect((await topic.raw()).map(({ key }) => key.toString())).toEqual([wanted]);
    expect(await topic.redrive({ again: true, dryRun: true })).toMatchObject({ redriven: 2, hopeless: 2 });
  });

  test('a mark outlives added partitions: it lies behind its dead letter', async () => {
    const topic = await deadTopic(brokers);
    // Not the partition that the key would choose.
    const eventId = randomUUID();
    for (const partition of [0, 1, 2]) await topic.add([{ partition, eventId }]);
    await topic.redrive();
    const dead = await readAll(brokers, topic.deadLetterTopic);
    expect(dead.map(({ partition, offset }) => `${partition}/${offset}`)).toEqual([
      '0/0',
      '0/1',
      '1/0',
      '1/1',
      '2/0',
      '2/1',
    ]);
  });
});
