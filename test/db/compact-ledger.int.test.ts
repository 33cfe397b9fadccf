import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { expect, inject, test } from 'vitest';
import { compactLedger } from '../../db/queries/compact-ledger.ts';
import { ledgerCoverage } from '../../db/queries/ledger-coverage.ts';
import { createDatabase } from '../helpers/database.ts';

interface Entry {
  readonly partition: number;
  readonly first: number;
  readonly length: number;
  readonly missing: number;
  readonly hoursAgo: number;
}

const entry: fc.Arbitrary<Entry> = fc.record({
  partition: fc.nat(1),
  first: fc.nat(40),
  length: fc.integer({ min: 1, max: 8 }),
  /** Now and then an entry claims a range that it did not read whole. */
  missing: fc.constantFrom(0, 0, 0, 0, 1),
  hoursAgo: fc.constantFrom(0, 30, 30, 31),
});

test('whatever is in the ledger, compacting it proves neither more nor less', async () => {
  await using database = await createDatabase(inject('postgresAdminUrl'));
  const admin = database.open('admin');
  const coverage = async () =>
    (await admin.execute(ledgerCoverage('raw'))).rows.map((run) =>
      Object.assign(run, { entries: 'any number' }),
    );
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 30 }), async (entries) => {
      await admin.execute(sql`truncate ledger`);
      for (const { partition, first, length, missing, hoursAgo } of entries) {
        const read = length - missing;
        await admin.execute(sql`
          insert into ledger (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead,
            unknown_fields, written_by, written_at)
          values ('raw', ${partition}, ${first}, ${first + length - 1}, ${read}, ${read}, 0, 0, 0, 'test',
            date_trunc('hour', now()) - make_interval(hours => ${hoursAgo}))`);
      }
      const before = await coverage();
      await admin.execute(compactLedger(24, 1_000));
      expect(await coverage()).toEqual(before);
      const again = await admin.execute(compactLedger(24, 1_000));
      expect(again.rows).toEqual([{ entries: '0', remain: '0' }]);
    }),
    { numRuns: 60 },
  );
});

test('a day of batches becomes an entry an hour and partition; the last day is left as it is', async () => {
  await using database = await createDatabase(inject('postgresAdminUrl'));
  const admin = database.open('admin');
  await admin.execute(sql`
    insert into ledger (topic, partition, first_offset, last_offset, read, inserted, duplicate, dead, unknown_fields,
      written_by, written_at)
    select 'raw', p, n * 10, n * 10 + 9, 10, 9, 0, 1, 2, 'test',
      date_trunc('hour', now()) - interval '26 hours' + n * interval '6 seconds'
    from generate_series(0, 1) p, generate_series(0, 1199) n`);
  const { rows } = await admin.execute(compactLedger(24, 100_000));
  expect(rows).toEqual([{ entries: '2400', remain: '4' }]);
  const { rows: left } = await admin.execute(
    sql`select partition, first_offset::integer as first, last_offset::integer as last, read, dead, unknown_fields as unknown
      from ledger order by partition, first_offset`,
  );
  expect(left).toEqual(
    [0, 1].flatMap((partition) =>
      [0, 6_000].map((first) => ({
        partition,
        first,
        last: first + 5_999,
        read: 6_000,
        dead: 600,
        unknown: 1_200,
      })),
    ),
  );
});
