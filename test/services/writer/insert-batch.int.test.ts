import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { describe, expect, inject, test } from 'vitest';
import { GrowingArray } from '../../../db/binary-array.ts';
import { rowInserter } from '../../../db/queries/insert-rows.ts';
import type { EncodedBatch } from '../../../db/rows/encode.ts';
import { BatchInserter } from '../../../services/writer/insert-batch.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { PipelineError } from '../../../shared/errors.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { dayOf } from '../../../shared/time.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';
import { dates, uuids, uuidsOf } from '../../helpers/row-columns.ts';

const now = Date.now();

interface Row {
  readonly partition: number;
  readonly eventId: string;
  readonly appVersion?: number;
  readonly day?: string;
}

/** A batch as the encoder would make it: rows in the order given, offsets counted up per partition from `firstOffset`. */
function batchOf(
  rows: readonly Row[],
  firstOffset = 0,
  epochs: EncodedBatch['rows']['epochs'] = { current: 1, prior: undefined },
): EncodedBatch {
  const byPartition = Map.groupBy(rows, ({ partition }) => partition);
  const column = <T>(value: (row: Row) => T): T[] => rows.map(value);
  const text = (values: (string | null)[]) => GrowingArray.of('text', values);
  const sentAt = new GrowingArray('timestamptz', 0);
  const [dekId, version] = [new GrowingArray('int8', 0), new GrowingArray('int4', 0)];
  for (const { appVersion = 2_003_000 } of rows) {
    sentAt.pushTime(now);
    dekId.pushBigint(1n);
    version.pushInteger(appVersion);
  }
  return {
    rows: {
      createDate: dates(...column(({ day }) => day ?? dayOf(now))),
      eventId: uuids(...column(({ eventId }) => eventId)),
      sentAt,
      dekId,
      epochs,
      clear: [
        text(column(() => `it's a "user", {NULL}, \\ and more`)),
        text(column(() => 'NULL')),
        text(column(() => null)),
        version,
        text(column(() => '2.3.0')),
      ],
      masked: [text(column(() => 't1:x')), text(column(() => 't1:y'))],
      prior: epochs.prior === undefined ? [] : [text(column(() => 't0:x')), text(column(() => 't0:y'))],
      sealed: [
        GrowingArray.of(
          'bytea',
          column(() => Buffer.from([1, 1, 0, 92, 34])),
        ),
        GrowingArray.of(
          'bytea',
          column(() => Buffer.alloc(0)),
        ),
      ],
    },
    partitions: column(({ partition }) => partition),
    dead: [],
    filtered: [],
    ledger: [...byPartition].map(([partition, list]) => ({
      topic: 'raw',
      partition,
      firstOffset: BigInt(firstOffset),
      lastOffset: BigInt(firstOffset + list.length - 1),
      read: list.length,
      inserted: list.length,
      duplicate: 0,
      dead: 0,
      unknownFields: 0,
    })),
  };
}

async function setUp(): Promise<{ database: TestDatabase; inserter: BatchInserter }> {
  const database = await createDatabase(inject('postgresAdminUrl'));
  const options = { keeper: new FakeVault(), tables: ['user_logins'], clock: () => now };
  await maintainDays({ database: database.open('admin'), ...options });
  const inserter = new BatchInserter({
    connection: database.open('writer'),
    inserter: rowInserter(userLogins),
    writtenBy: 'test',
  });
  return { database, inserter };
}

const rows = (...partitions: number[]) =>
  partitions.map((partition): Row => ({ partition, eventId: randomUUID() }));

describe('BatchInserter, as the role of the writer', () => {
  test('stores values as they are', async () => {
    const { database, inserter } = await setUp();
    await using _ = database;
    await inserter.insert(batchOf(rows(0)));
    const { rows: stored } = await database.open('admin').execute(
      sql`select user_id, device_type, locale, app_version, ip_sealed, device_id_sealed, masked_ip,
        (extract(epoch from sent_at) * 1000)::text as sent_at_ms from user_logins`,
    );
    expect(stored).toEqual([
      {
        user_id: `it's a "user", {NULL}, \\ and more`,
        device_type: 'NULL',
        locale: null,
        app_version: 2_003_000,
        ip_sealed: Buffer.from([1, 1, 0, 92, 34]),
        device_id_sealed: Buffer.alloc(0),
        masked_ip: 't1:x',
        sent_at_ms: `${now}.000000`,
      },
    ]);
  });

  test('batches of megabytes, one after another in the memory of those before, are stored as they are', async () => {
    const { database, inserter } = await setUp();
    await using _ = database;
    const sent: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      const batch = batchOf(rows(...Array.from({ length: 3_000 }, (__, i) => i % 3)), n * 1_000);
      const sealed = new GrowingArray('bytea', 3_000 * 400);
      for (const eventId of uuidsOf(batch.rows.eventId))
        sealed.push(Buffer.from(`${n} ${eventId} ${'x'.repeat(400)}`));
      sent.push(...[...sealed].map(String));
      const [, device = sealed] = batch.rows.sealed;
      await inserter.insert({ ...batch, rows: { ...batch.rows, sealed: [sealed, device] } });
      expect(sealed).toHaveLength(0);
    }
    const { rows: stored } = await database
      .open('admin')
      .execute<{ ip_sealed: Buffer }>(sql`select ip_sealed from user_logins`);
    expect(stored.map((row) => row.ip_sealed.toString()).toSorted()).toEqual(sent.toSorted());
  });

  test('finds the rows that Postgres refuses, and leaves nothing behind', async () => {
    const { database, inserter } = await setUp();
    await using _ = database;
    const admin = database.open('admin');
    await admin.execute(
      sql`alter table user_logins add constraint poison check (app_version <> 13) not valid`,
    );
    const batch = batchOf([
      ...rows(0, 0, 1),
      { partition: 1, eventId: randomUUID(), appVersion: 13 },
      ...rows(2),
      { partition: 2, eventId: randomUUID(), appVersion: 13 },
    ]);
    const refusalOf = (error: unknown) =>
      error instanceof PipelineError && error.code === 'DATABASE_REJECTED' ? error : undefined;
    const found = await inserter.refused(batch, { from: 1, to: 6 }, refusalOf);
    expect(found.map(({ row, refusal }) => [row, refusal.code])).toEqual([
      [3, 'DATABASE_REJECTED'],
      [5, 'DATABASE_REJECTED'],
    ]);
    await expect(inserter.refused(batch, { from: 0, to: 6 }, () => undefined)).rejects.toMatchObject({
      code: 'DATABASE_REJECTED',
    });
    const { rows: left } = await admin.execute(sql`select from user_logins`);
    expect(left).toEqual([]);
    expect(database.open('writer').busy).toBe(0);
  });

  test('counts duplicates in the partition they came from, before and after a run of them', async () => {
    const { database, inserter } = await setUp();
    await using _ = database;
    const first = rows(0, 0, 1, 2);
    const counts = async (batch: Row[], firstOffset: number) =>
      (await inserter.insert(batchOf(batch, firstOffset))).map((e) => [e.partition, e.inserted, e.duplicate]);
    expect(await counts(first, 0)).toEqual([
      [0, 2, 0],
      [1, 1, 0],
      [2, 1, 0],
    ]);
    const again = [...first.slice(0, 1), ...rows(0, 1), ...first.slice(3)];
    for (let delivery = 0; delivery < 2; delivery++) {
      expect(await counts(again, 4)).toEqual([
        [0, delivery === 0 ? 1 : 0, delivery === 0 ? 1 : 2],
        [1, delivery === 0 ? 1 : 0, delivery === 0 ? 0 : 1],
        [2, 0, 1],
      ]);
    }
    expect(await counts(rows(0, 2), 8)).toEqual([
      [0, 1, 0],
      [2, 1, 0],
    ]);
    const twiceInOne = rows(1);
    expect(await counts([...twiceInOne, ...twiceInOne], 12)).toEqual([[1, 1, 1]]);
    const { rows: ledger } = await database.open('admin').execute(
      sql`select sum(inserted)::integer as inserted, (select count(*)::integer from user_logins) as stored,
        sum(read - inserted - duplicate - dead)::integer as difference from ledger`,
    );
    expect(ledger).toEqual([{ inserted: 9, stored: 9, difference: 0 }]);
  });

  test('rows and ledger are one transaction: a batch that Postgres refuses leaves nothing', async () => {
    const { database, inserter } = await setUp();
    await using _ = database;
    const poisoned = [...rows(0), { partition: 0, eventId: randomUUID(), appVersion: 3_000_000_000 }];
    await expect(inserter.insert(batchOf(poisoned))).rejects.toMatchObject({
      code: 'DATABASE_REJECTED',
      detail: 'SQLSTATE 22003',
    });
    const { rows: left } = await database
      .open('admin')
      .execute(
        sql`select (select count(*) from user_logins)::integer as rows, (select count(*) from ledger)::integer as entries`,
      );
    expect(left).toEqual([{ rows: 0, entries: 0 }]);
  });

  test('rows and ledger are one transaction: a commit that fails leaves nothing', async () => {
    const { database, inserter } = await setUp();
    await using _ = database;
    const admin = database.open('admin');
    await admin.execute(sql`create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'no' using errcode = '40001'; end $$`);
    await admin.execute(sql`create constraint trigger refuse after insert on user_logins
      deferrable initially deferred for each row execute function refuse()`);
    await expect(inserter.insert(batchOf(rows(0, 1)))).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
      detail: 'SQLSTATE 40001',
    });
    const { rows: left } = await admin.execute(
      sql`select (select count(*) from user_logins)::integer as rows, (select count(*) from ledger)::integer as entries`,
    );
    expect(left).toEqual([{ rows: 0, entries: 0 }]);
  });

  test('tokens of epochs that are over are refused, whole batch and ledger; those of a window are stored', async () => {
    const { database, inserter } = await setUp();
    await using _ = database;
    const admin = database.open('admin');
    await admin.execute(sql`update token_epochs set state = 'prior' where epoch = 1`);
    await admin.execute(sql`insert into token_epochs (epoch, state) values (2, 'current')`);
    const window = { current: 2, prior: 1 };
    for (const wrong of [
      { current: 1, prior: undefined },
      { current: 2, prior: undefined },
      { current: 1, prior: 2 },
    ]) {
      await expect(inserter.insert(batchOf(rows(0), 0, wrong))).rejects.toMatchObject({
        code: 'TOKENS_CHANGED',
        action: 'stop',
      });
    }
    await inserter.insert(batchOf(rows(0), 0, window));
    const { rows: stored } = await admin.execute(
      sql`select masked_ip, masked_ip_prior, masked_device_id_prior, (select count(*)::integer from ledger) as entries from user_logins`,
    );
    expect(stored).toEqual([
      { masked_ip: 't1:x', masked_ip_prior: 't0:x', masked_device_id_prior: 't0:y', entries: 1 },
    ]);
    await admin.execute(sql`update token_epochs set state = 'retired' where epoch = 1`);
    await expect(inserter.insert(batchOf(rows(0), 0, window))).rejects.toMatchObject({
      code: 'TOKENS_CHANGED',
    });
    await inserter.insert(batchOf(rows(0), 0, { current: 2, prior: undefined }));
  });

  test('a day without a partition is an outage, and no row goes elsewhere', async () => {
    const { database, inserter } = await setUp();
    await using _ = database;
    const old = [{ partition: 0, eventId: randomUUID(), day: '2020-01-01' }];
    await expect(inserter.insert(batchOf(old))).rejects.toMatchObject({
      code: 'PARTITION_MISSING',
      action: 'retry',
    });
  });
});
