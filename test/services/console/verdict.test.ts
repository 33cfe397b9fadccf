import { describe, expect, test } from 'vitest';
import type { Looks, ServiceLook } from '../../../services/console/look/snapshot.ts';
import { judge } from '../../../services/console/look/verdict.ts';
import { atMs, partition, seen, unseen, well } from './fixtures.ts';

const verdict = (change: Partial<Looks>) => judge({ ...well(), ...change }, atMs);

const topic = (change: object) => ({ topic: seen({ ...well().topic.value, ...change }) });
const days = (change: object) => ({ days: seen({ ...well().days.value, ...change }) });
const waiting = (service: string, name: string, code: string): ServiceLook => ({
  url: `http://${service}:8080`,
  service,
  state: 'waiting',
  dependencies: [{ name, up: false, code, downMs: 180_000, failures: 7 }],
  queueOldestSeconds: null,
  lastMaintainMs: null,
});

test('well is said with its figures, in one line', () => {
  expect(verdict({})).toEqual({
    state: 'well',
    sentence: 'well: 312 rows/s, nothing waits, half within 200 ms, 99 % within 900 ms',
    problems: [],
  });
});

describe('behind, and because of what', () => {
  test('messages wait and nothing takes them', () => {
    const { sentence } = verdict({
      queue: seen({ visible: 12_000, inFlight: 0, delayed: 0 }),
      ...topic({ publishedPerSecond: 0 }),
    });
    expect(sentence).toBe('behind: 12,000 messages wait in the queue, because no connector takes them');
  });

  test('more comes than is published', () => {
    const found = verdict({
      queue: seen({ visible: 90_000, inFlight: 500, delayed: 0 }),
      sentPerSecond: 80,
      ...topic({ publishedPerSecond: 10 }),
    });
    expect(found.sentence).toContain('because 80 a second come and 10 are published');
  });

  test('a queue that empties within a minute is no news', () => {
    const found = verdict({
      queue: seen({ visible: 5_000, inFlight: 500, delayed: 0 }),
      ...topic({ publishedPerSecond: 1_000 }),
    });
    expect(found.state).toBe('well');
  });

  test('no writer is there', () => {
    const found = verdict(
      topic({
        lag: 500,
        members: 0,
        groupState: 'Empty',
        readPerSecond: 0,
        partitions: [partition({ lag: 500, oldestSeconds: 5, member: null })],
      }),
    );
    expect(found.sentence).toBe(
      'behind: 500 records are not read yet, the oldest sent 5.0 s ago, because no writer is in the group writers',
    );
    expect(found.problems[0]?.todo).toContain('sluice writer');
  });

  test('the writer says itself what it waits for', () => {
    const found = verdict({
      ...topic({ lag: 500, readPerSecond: 0, partitions: [partition({ lag: 500, oldestSeconds: 180 })] }),
      services: [waiting('writer', 'postgres', 'DATABASE_UNAVAILABLE')],
    });
    expect(found.problems.map(({ state, what }) => `${state}: ${what}`)).toEqual([
      'broken: writer waits for postgres (DATABASE_UNAVAILABLE) since 3 min',
      'behind: 500 records are not read yet, the oldest sent 3 min ago, because the writer waits for postgres (DATABASE_UNAVAILABLE)',
    ]);
    expect(found.problems[0]?.todo).toContain('Postgres cannot be reached');
  });
});

test('a server that cannot be seen is broken, and all that depends on it is one problem', () => {
  const found = verdict({
    topic: unseen('KAFKA_UNAVAILABLE'),
    ledger: unseen('KAFKA_UNAVAILABLE'),
    deadLetters: unseen('KAFKA_UNAVAILABLE'),
  });
  expect(found.problems).toHaveLength(1);
  expect(found.sentence).toBe(
    'broken: the raw topic, the ledger, the dead-letter topic cannot be seen (KAFKA_UNAVAILABLE)',
  );
});

test.each([
  [
    'a day without its key',
    days({ days: [{ ...well().days.value.days[0], key: 'none' }] }),
    'broken',
    'today has no key',
  ],
  ['a horizon that is near', days({ keyDays: 2 }), 'attention', 'keys 2 days ahead'],
  ['an order cut off', days({ unfinishedShreds: 1 }), 'attention', '1 orders to shred'],
  ['a log that is not archived', days({ walFailures: 4 }), 'attention', 'fails to archive its log'],
  [
    'a gap in the ledger',
    {
      ledger: seen({ ...well().ledger.value, proven: false, problems: ['partition 3: offsets 5–6 skipped'] }),
    },
    'broken',
    'partition 3: offsets 5–6 skipped',
  ],
  [
    'dead letters of this hour',
    {
      deadLetters: seen({
        ...well().deadLetters.value,
        lastHour: 2,
        codes: [{ code: 'IP_ADDRESS' as const, open: 5, redriven: 0, lastFailedMs: atMs }],
      }),
    },
    'attention',
    '2 dead letters in the last hour: IP_ADDRESS',
  ],
  [
    'a partition without a leader',
    topic({ partitions: [partition({ leader: false })] }),
    'broken',
    'no leader',
  ],
  [
    'a replica that is not in sync',
    topic({ partitions: [partition({ inSync: 2 })] }),
    'attention',
    'fewer replicas',
  ],
] as const)('%s is told', (_, change, state, words) => {
  const found = verdict(change);
  expect(found.state).toBe(state);
  expect(found.sentence).toContain(words);
  expect(found.problems[0]?.todo).not.toBe('');
});

test('the worst comes first', () => {
  const found = verdict({
    ...days({ keyDays: 2 }),
    ledger: unseen('DATABASE_UNAVAILABLE'),
    queue: seen({ visible: 5_000, inFlight: 0, delayed: 0 }),
    ...topic({ publishedPerSecond: 0 }),
  });
  expect(found.problems.map(({ state }) => state)).toEqual(['broken', 'behind', 'attention']);
  expect(found.sentence).toContain('(and 2 more)');
});
