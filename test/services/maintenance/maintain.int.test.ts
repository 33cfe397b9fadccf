import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../../db/client.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { publicKeyOf } from '../../../shared/crypto/sealed-box.ts';
import { addDays, horizonDays, type Day } from '../../../shared/time.ts';
import type { KeyKeeper } from '../../../shared/vault/ports.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';

const today = '2026-11-24';
const days = horizonDays(today);

let database: TestDatabase;
let admin: Database;
let vault: FakeVault;
beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
  vault = new FakeVault();
});
afterEach(() => database[Symbol.asyncDispose]());

function maintain(options: { on?: Day; keeper?: KeyKeeper; database?: Database } = {}) {
  return maintainDays({
    database: options.database ?? admin,
    keeper: options.keeper ?? vault,
    tables: ['user_logins'],
    clock: () => Date.parse(`${options.on ?? today}T12:00:00Z`),
  });
}

async function publishedKeys(): Promise<{ day: Day; public_key: Buffer }[]> {
  const { rows } = await admin.execute<{ day: Day; public_key: Buffer }>(
    sql`select day, public_key from day_keys order by day`,
  );
  return rows;
}

async function partitionDays(): Promise<string[]> {
  const { rows } = await admin.execute<{ bounds: string }>(sql`
    select pg_get_expr(relpartbound, c.oid) as bounds from pg_inherits join pg_class c on c.oid = inhrelid
    where inhparent = 'user_logins'::regclass order by relname`);
  return rows.map(({ bounds }) => bounds);
}

const boundsOf = (day: Day) => `FOR VALUES FROM ('${day}') TO ('${addDays(day, 1)}')`;

/** Whatever is published can be opened: its private half is in the vault. */
async function everyPublishedKeyOpens(): Promise<void> {
  const lost: Day[] = [];
  for (const { day, public_key } of await publishedKeys()) {
    const privateKey = await vault.dayPrivateKey(day, public_key);
    if (privateKey === undefined || !publicKeyOf(privateKey).equals(public_key)) lost.push(day);
  }
  expect(lost).toEqual([]);
}

describe('one run', () => {
  test('makes partitions and keys from D−14 to D+7', async () => {
    const report = await maintain();
    expect(report).toMatchObject({ from: '2026-11-10', to: '2026-12-01', dayKeys: days });
    expect(report.partitions).toEqual(days.map((day) => `user_logins_${day.replaceAll('-', '')}`));
    expect(await partitionDays()).toEqual(days.map(boundsOf));
    expect((await publishedKeys()).map(({ day }) => day)).toEqual(days);
    await everyPublishedKeyOpens();
    expect(await vault.transitDays()).toEqual(days);
    expect(await vault.pepperEpochs()).toEqual([1]);
  });

  test('a second one has nothing to do and replaces nothing', async () => {
    await maintain();
    const before = [await publishedKeys(), (await vault.dayKeys()).length];
    expect(await maintain()).toMatchObject({ partitions: [], dayKeys: [] });
    expect([await publishedKeys(), (await vault.dayKeys()).length]).toEqual(before);
  });

  test('the day after makes one day more', async () => {
    await maintain();
    expect(await maintain({ on: '2026-11-25' })).toMatchObject({
      partitions: ['user_logins_20261202'],
      dayKeys: ['2026-12-02'],
    });
  });

  test('several at once make everything once', async () => {
    const reports = await Promise.all(
      Array.from({ length: 3 }, () => maintain({ database: database.open('admin') })),
    );
    expect(reports.map(({ dayKeys }) => dayKeys.length).toSorted((a, b) => a - b)).toEqual([0, 0, 22]);
    expect((await vault.dayKeys()).length).toBe(22);
    await everyPublishedKeyOpens();
  });
});

class Crash extends Error {}

/** The vault, until a call of the chosen kind on the chosen day: then the process "dies", before or after it took effect. */
function crashing(call: keyof KeyKeeper, day: Day, when: 'before' | 'after'): KeyKeeper {
  const run = async (name: keyof KeyKeeper, onDay: Day | undefined, work: () => Promise<void>) => {
    const here = name === call && (onDay === day || onDay === undefined);
    if (here && when === 'before') throw new Crash();
    await work();
    if (here) throw new Crash();
  };
  return {
    ensurePepper: (epoch) => run('ensurePepper', undefined, () => vault.ensurePepper(epoch)),
    transitDays: () => vault.transitDays(),
    destroyTransitKey: (on) => run('destroyTransitKey', on, () => vault.destroyTransitKey(on)),
    ensureTransitKey: (on) => run('ensureTransitKey', on, () => vault.ensureTransitKey(on)),
    putDayPrivateKey: (on, publicKey, privateKey) =>
      run('putDayPrivateKey', on, () => vault.putDayPrivateKey(on, publicKey, privateKey)),
  };
}

describe('a crash leaves nothing unreadable, and the next run finishes', () => {
  test.for([
    ['ensurePepper', 'before'],
    ['ensurePepper', 'after'],
    ['ensureTransitKey', 'before'],
    ['ensureTransitKey', 'after'],
    ['putDayPrivateKey', 'before'],
    ['putDayPrivateKey', 'after'],
  ] as const)('at %s, %s it took effect', async ([call, when]) => {
    const keeper = crashing(call, '2026-11-20', when);
    await expect(maintain({ keeper })).rejects.toThrow(Crash);
    await everyPublishedKeyOpens();
    const published = await publishedKeys();
    await maintain();
    const after = await publishedKeys();
    expect(after.map(({ day }) => day)).toEqual(days);
    // Keys that were published stay; a key that was stored and never published is an orphan and harms nobody.
    expect(after.slice(0, published.length)).toEqual(published);
    expect((await vault.dayKeys()).length).toBe(call === 'putDayPrivateKey' && when === 'after' ? 23 : 22);
    await everyPublishedKeyOpens();
  });

  test('while a partition is being made', async () => {
    await admin.execute(sql`
      create function crash() returns event_trigger language plpgsql as
      $$ begin if current_query() like '%20261120%' then raise exception 'crash' using errcode = '57P01'; end if; end $$`);
    await admin.execute(
      sql`create event trigger crash on ddl_command_end when tag in ('ALTER TABLE') execute function crash()`,
    );
    await expect(maintain()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await partitionDays()).toEqual(days.slice(0, 10).map(boundsOf));
    expect(await publishedKeys()).toEqual([]);
    await admin.execute(sql`drop event trigger crash`);
    await maintain();
    expect(await partitionDays()).toEqual(days.map(boundsOf));
    await everyPublishedKeyOpens();
  });

  test('when publishing fails', async () => {
    await admin.execute(sql`alter table day_keys add constraint crash check (day <> '2026-11-20')`);
    await expect(maintain()).rejects.toMatchObject({ code: 'DATABASE_REJECTED' });
    await everyPublishedKeyOpens();
    await admin.execute(sql`alter table day_keys drop constraint crash`);
    await maintain();
    expect((await publishedKeys()).map(({ day }) => day)).toEqual(days);
    await everyPublishedKeyOpens();
  });
});

test('a vault that does not answer is an outage; partitions are made all the same', async () => {
  vault.failure = 'VAULT_UNAVAILABLE';
  await expect(maintain()).rejects.toMatchObject({ code: 'VAULT_UNAVAILABLE' });
  expect(await partitionDays()).toHaveLength(22);
  expect(await publishedKeys()).toEqual([]);
});

describe('writers go on meanwhile', () => {
  const insert = sql`insert into user_logins values
    ('2026-11-24', gen_random_uuid(), now(), 'u', 'd', 'm', 'm', null, 1, '0.1', '', '', 1)
    on conflict do nothing`;

  test('partitions are made beside an insert that is not committed', async () => {
    await maintain();
    await database.open('writer').transaction(async (session) => {
      await session.execute(insert);
      expect((await maintain({ on: '2026-11-25' })).partitions).toEqual(['user_logins_20261202']);
    });
  });

  test('an insert goes through while a partition is being attached', async () => {
    await maintain();
    const writer = database.open('writer', { statementTimeoutMs: 2_000 });
    await admin.transaction(async (session) => {
      await session.execute(sql`create table user_logins_20270101 (like user_logins including all)`);
      await session.execute(sql`alter table user_logins attach partition user_logins_20270101
        for values from ('2027-01-01') to ('2027-01-02')`);
      await expect(writer.execute(insert)).resolves.toMatchObject({ rowCount: 1 });
    });
  });

  test('a new partition takes rows of its day, with the primary key', async () => {
    await maintain();
    const writer = database.open('writer');
    const twice = sql`insert into user_logins values
      ('2026-12-01', '11111111-1111-4111-8111-111111111111', now(), 'u', 'd', 'm', 'm', null, 1, '0.1', '', '', 1)
      on conflict do nothing`;
    expect(await writer.execute(twice)).toMatchObject({ rowCount: 1 });
    expect(await writer.execute(twice)).toMatchObject({ rowCount: 0 });
    const { rows } = await admin.execute<{ stamped: boolean }>(
      sql`select ingested_at is not null as stamped from user_logins_20261201`,
    );
    expect(rows).toEqual([{ stamped: true }]);
  });
});
