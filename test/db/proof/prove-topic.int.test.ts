import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../../db/client.ts';
import { ledgerCoverage } from '../../../db/queries/ledger-coverage.ts';
import { formatProof, jsonProof } from '../../../services/verify/report.ts';
import { proveTopic, type TopicReader } from '../../../db/proof/prove-topic.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';

let database: TestDatabase;
let admin: Database;
let operator: Database;

beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
  operator = database.open('operator');
});
afterEach(() => database[Symbol.asyncDispose]());

/** Writes entries as `[partition, first, last, read?]`; all of them inserted. */
async function ledger(...entries: readonly (readonly [number, number, number, number?])[]): Promise<void> {
  for (const [partition, first, last, read = last - first + 1] of entries) {
    await admin.execute(sql`
      insert into ledger
        (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields, written_by)
      values ('raw', ${partition}, ${first}, ${last}, ${read}, ${read}, 0, 0, 0, 'test')`);
  }
}

/** Kafka, as `partition: [start, end, committed?]`. */
function kafka(partitions: Record<number, readonly [number, number, number?]>): TopicReader {
  const entries = Object.entries(partitions).map(([p, [low, high, committed]]) => ({
    partition: Number(p),
    offsets: { low: BigInt(low), high: BigInt(high) },
    committed: committed === undefined ? undefined : BigInt(committed),
  }));
  return {
    topicOffsets: async () => new Map(entries.map(({ partition, offsets }) => [partition, offsets])),
    committedOffsets: async () => new Map(entries.map(({ partition, committed }) => [partition, committed])),
  };
}

function prove(reader: TopicReader, complete = false) {
  return proveTopic({ session: operator, reader, topic: 'raw', group: 'writers', complete });
}

describe('proven', () => {
  test('ranges that touch, overlap, nest and repeat, in any order of writing', async () => {
    await ledger(
      [0, 20, 29],
      [0, 0, 9],
      [0, 10, 19],
      [0, 5, 14],
      [0, 0, 25],
      [0, 0, 9],
      [0, 22, 23],
      [1, 0, 0],
    );
    const proof = await prove(kafka({ 0: [0, 30, 30], 1: [0, 1, 1], 2: [0, 0] }), true);
    expect(proof).toMatchObject({ proven: true });
    expect(proof.partitions.map(({ partition, coveredTo, lag }) => ({ partition, coveredTo, lag }))).toEqual([
      { partition: 0, coveredTo: 30n, lag: 0n },
      { partition: 1, coveredTo: 1n, lag: 0n },
      { partition: 2, coveredTo: 0n, lag: 0n },
    ]);
  });

  test('what has not been read yet is lag, unless everything must have been', async () => {
    await ledger([0, 0, 9]);
    const reader = kafka({ 0: [0, 30, 10] });
    expect(await prove(reader)).toMatchObject({ proven: true, partitions: [{ lag: 20n }] });
    expect(await prove(reader, true)).toMatchObject({
      proven: false,
      partitions: [{ problems: ['20 records not read yet'] }],
    });
  });

  test('the ledger of another topic does not count', async () => {
    await ledger([0, 0, 9]);
    await admin.execute(sql`update ledger set topic = 'other'`);
    expect(await prove(kafka({ 0: [0, 10] }))).toMatchObject({ proven: true, partitions: [{ lag: 10n }] });
  });
});

describe('not proven', () => {
  test('a gap, said where', async () => {
    await ledger([0, 0, 9], [1, 0, 4], [1, 7, 9]);
    const proof = await prove(kafka({ 0: [0, 10, 10], 1: [0, 10, 10] }));
    expect(proof.partitions.map(({ problems }) => problems)).toEqual([
      [],
      ['offsets 5–6 skipped: committed, but not in the ledger'],
    ]);
    expect(formatProof(proof)).toContain('partition 1: offsets 5–6 skipped');
    expect(formatProof(proof)).toContain('NOT proven: 1 problem(s) in raw');
    expect(JSON.parse(jsonProof(proof))).toMatchObject({
      proven: false,
      partitions: [{}, { gaps: [{ kind: 'skipped', first: '5', last: '6' }] }],
    });
  });

  test('a committed offset that the ledger does not reach', async () => {
    await ledger([0, 0, 9]);
    expect(await prove(kafka({ 0: [0, 20, 15] }))).toMatchObject({
      proven: false,
      partitions: [{ problems: ['offsets 10–14 skipped: committed, but not in the ledger'] }],
    });
  });

  test('records that expired unread', async () => {
    await ledger([0, 0, 9]);
    expect(await prove(kafka({ 0: [15, 20, 10] }))).toMatchObject({
      partitions: [{ problems: ['offsets 10–14 expired: expired from the topic before they were read'] }],
    });
  });

  test('an entry that read fewer records than its range has', async () => {
    await ledger([0, 0, 9, 9]);
    expect(await prove(kafka({ 0: [0, 10, 10] }))).toMatchObject({
      partitions: [{ problems: ['1 ledger entries do not add up'] }],
    });
  });

  test('a ledger beyond the end of the topic, or of a partition that it does not have', async () => {
    await ledger([0, 0, 9], [7, 0, 9]);
    expect(await prove(kafka({ 0: [0, 5] }))).toMatchObject({
      partitions: [
        { problems: ['the ledger reaches beyond the end of the topic'] },
        { problems: ['the ledger knows this partition, the topic does not'] },
      ],
    });
  });
});

test('a commit, rows and records that come while it looks are never taken for a loss', async () => {
  await ledger([0, 0, 9]);
  let [committed, end] = [10n, 10n];
  const reader: TopicReader = {
    async committedOffsets() {
      const seen = new Map([[0, committed]]);
      await ledger([0, 10, 19]);
      [committed, end] = [20n, 25n];
      return seen;
    },
    topicOffsets: async () => new Map([[0, { low: 0n, high: end }]]),
  };
  expect(await prove(reader)).toMatchObject({ proven: true, partitions: [{ coveredTo: 20n, lag: 5n }] });
});

test('a large ledger is read once and comes back as a row a run', async () => {
  await admin.execute(sql`
    insert into ledger (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields, written_by)
    select 'raw', n % 8, n / 8 * 10, n / 8 * 10 + 9, 10, 10, 0, 0, 0, 'test'
    from generate_series(0, 79999) n where n <> 44444`);
  const { rows } = await operator.execute(ledgerCoverage('raw'));
  expect(
    rows.map(({ partition, first_offset, last_offset }) => [partition, first_offset, last_offset]),
  ).toEqual([
    [0, '0', '99999'],
    [1, '0', '99999'],
    [2, '0', '99999'],
    [3, '0', '99999'],
    [4, '0', '55549'],
    [4, '55560', '99999'],
    [5, '0', '99999'],
    [6, '0', '99999'],
    [7, '0', '99999'],
  ]);
  const { rows: plan } = await admin.execute<{ 'QUERY PLAN': string }>(sql`explain ${ledgerCoverage('raw')}`);
  expect(plan.filter((row) => / on ledger\b/.test(row['QUERY PLAN']))).toHaveLength(1);
});
