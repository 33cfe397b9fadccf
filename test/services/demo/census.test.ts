import { expect, test } from 'vitest';
import { collectDeadLetters, takeCensus, type SentMessage } from '../../../services/demo/census.ts';
import { sampleLogins, seededRandom } from '../../../services/demo/sample-logins.ts';

const sent = new Map<string, SentMessage>([
  ['a', { kind: 'login', becomes: 'row' }],
  ['b', { kind: 'login', becomes: 'row' }],
  ['c', { kind: 'hostile', name: 'an array', becomes: 'BODY_NOT_OBJECT' }],
]);
const row = (latencyMs: number) => ({ day: '2026-11-24', latencyMs });
const rows = new Map([
  ['a', row(10)],
  ['b', row(30)],
]);
const dead = new Map([['c', new Set(['BODY_NOT_OBJECT'])]]);

test('a census that reconciles', () => {
  expect(takeCensus(sent, rows, dead)).toEqual({
    sent: 3,
    rows: 2,
    deadLetters: 1,
    rowsByDay: { '2026-11-24': 2 },
    deadByCode: { BODY_NOT_OBJECT: 1 },
    latencyMs: { p50: 30, p99: 30 },
    problems: [],
  });
});

test.each([
  ['lost', new Map([['a', row(1)]]), dead, 'login b became nothing instead of row'],
  [
    'in both places',
    rows,
    new Map([...dead, ['a', new Set(['IP_ADDRESS'])]]),
    'became row and IP_ADDRESS instead of row',
  ],
  [
    'refused for another reason',
    rows,
    new Map([['c', new Set(['FIELD_TYPE'])]]),
    'an array c became FIELD_TYPE instead of',
  ],
  [
    'stored although it must not be',
    new Map([...rows, ['c', row(1)]]),
    new Map(),
    'an array c became row instead of',
  ],
])('notices what was %s', (_, stored, refused, problem) => {
  const { problems } = takeCensus(sent, stored, refused);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test('two dead letters of one event, written again after a crash, are one', () => {
  const record = {
    offset: 0n,
    key: Buffer.from('0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9'),
    value: Buffer.alloc(0),
    timestampMs: 1,
    headers: { 'dlq.code': Buffer.from('IP_ADDRESS') },
  };
  const into = new Map<string, Set<string>>();
  collectDeadLetters({ topic: 'dead', partition: 0, records: [record, record], highWatermark: 2n }, into);
  expect(into).toEqual(new Map([['0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9', new Set(['IP_ADDRESS'])]]));
});

test('sample logins are shaped like the real ones, and a seed repeats them', () => {
  const take = (seed: number) => {
    const logins = sampleLogins(seededRandom(seed));
    return Array.from({ length: 5_000 }, () => logins.next().value);
  };
  const logins = take(5);
  expect(take(5)).toEqual(logins);
  const share = (of: (login: (typeof logins)[number]) => boolean) => logins.filter(of).length / logins.length;
  expect(share(({ locale }) => locale === null)).toBeCloseTo(0.29, 1);
  expect(share(({ app_version }) => app_version.split('.').length === 2)).toBeGreaterThan(0.2);
  expect(share(({ ip }) => Number(ip.split('.')[0]) >= 224)).toBeGreaterThan(0.05);
});
