import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { archiveDays } from '../../../db/archive/archive-days.ts';
import { withSwapLock } from '../../../db/locks.ts';
import { custodyHorizon } from '../../../db/queries/custody-horizon.ts';
import { listKeyDays } from '../../../db/queries/list-key-days.ts';
import { createShadow } from '../../../db/shadow/create-shadow.ts';
import { dropShadow } from '../../../db/shadow/drop-shadow.ts';
import { swapDay, type Direction } from '../../../db/shadow/swap-day.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { sweepShreds } from '../../../services/maintenance/sweep-shreds.ts';
import { preview } from '../../../services/shred/dry-run.ts';
import { shredDay } from '../../../services/shred/shred-day.ts';
import { shredUser } from '../../../services/shred/shred-user.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { addDays, dayOf, type Day } from '../../../shared/time.ts';
import { Custody, purpose, retention } from '../../services/shred/fixtures.ts';

/** Orders carry the database's time: days around the real one. */
const today = dayOf(Date.now());
const [day, next] = [addDays(today, -3), addDays(today, -2)];
const [partition, compact] = [`user_logins_${day.replaceAll('-', '')}`, day.replaceAll('-', '')];
const [shadow, before] = [`user_logins_shadow_b1`, `user_logins_before_b1_${compact}`];

let custody: Custody;
beforeEach(async () => {
  custody = await Custody.create(inject('postgresAdminUrl'), today);
});
afterEach(() => custody[Symbol.asyncDispose]());

/** Rows of two users on two days, and a shadow with the same in it. */
async function filled(): Promise<void> {
  await custody.store([day, next].flatMap((of) => ['gone', 'stays'].map((userId) => ({ day: of, userId }))));
  await createShadow(custody.admin, userLogins, { job: 'b1', days: [day, next] });
  await custody.admin.execute(sql`insert into ${sql.identifier(shadow)} select * from user_logins`);
}

function change(direction: Direction = 'swap', of: Day = day) {
  const options = { carryMissing: false, maxWaitMs: 500, attempts: 20 };
  return custody.admin.withSession((connection) =>
    withSwapLock(connection, () =>
      swapDay(connection, userLogins, { job: 'b1', day: of, direction }, options),
    ),
  );
}

const clean = () => custody.admin.withSession((connection) => dropShadow(connection, userLogins, 'b1'));

/** Tokens and sealed cells of a day in a table; of one user, when asked for. */
async function personal(table: string, of: Day = day, userId = '%'): Promise<number> {
  const { rows } = await custody.admin.execute<{ cells: number }>(sql`
    select coalesce(sum(num_nonnulls(masked_ip, masked_device_id)), 0)::integer as cells
    from ${sql.identifier(table)} where create_date = ${of} and user_id like ${userId}`);
  return rows[0]?.cells ?? 0;
}

describe('shredding a day', () => {
  test('clears the tokens of its shadow and of what was before, and proves it', async () => {
    await filled();
    await change('swap', next);
    for (const [of, aside, reach] of [
      [day, `user_logins_shadow_b1_${compact}`, shadow],
      [
        next,
        `user_logins_before_b1_${next.replaceAll('-', '')}`,
        `user_logins_before_b1_${next.replaceAll('-', '')}`,
      ],
    ] as const) {
      expect(await personal(reach, of)).toBe(4);
      expect(await preview(custody.parts(), { scope: 'day', day: of })).toMatchObject({
        asides: { [aside]: { rows: 2, withTokens: 2 } },
      });
      const report = await shredDay(custody.parts(), of, purpose);
      expect(report).toMatchObject({
        rowsCleared: 4,
        proof: { table: { rows: 2, withTokens: 0 }, asides: { [aside]: { rows: 2, withTokens: 0 } } },
      });
      expect(await personal(reach, of)).toBe(0);
      expect(await shredDay(custody.parts(), of, purpose)).toMatchObject({ already: true });
      // What comes into the shadow afterwards is not overlooked either.
      await custody.admin.execute(
        sql`update ${sql.identifier(reach)} set masked_ip = 't1:late' where create_date = ${of} and user_id = 'gone'`,
      );
      expect(await shredDay(custody.parts(), of, purpose)).toMatchObject({ already: false, rowsCleared: 1 });
    }
  });

  test('is not undone by a swap of rows that came later, either way', async () => {
    await filled();
    await shredDay(custody.parts(), day, purpose);
    await custody.admin.execute(sql`update ${sql.identifier(shadow)} set masked_ip = 't1:late'`);
    await change();
    expect(await personal('user_logins')).toBe(0);
    await custody.admin.execute(sql`update ${sql.identifier(before)} set masked_ip = 't1:late'`);
    await change('unswap');
    expect(await personal('user_logins')).toBe(0);
  });
});

describe('erasing a user', () => {
  test('reaches shadows and what was before, and proves it', async () => {
    await filled();
    await change();
    expect(await preview(custody.parts(), { scope: 'user', userId: 'gone' })).toMatchObject({
      rows: 2,
      asides: { [shadow]: 1, [before]: 1 },
    });
    const report = await shredUser(custody.parts(), 'gone', purpose);
    expect(report.proof).toMatchObject({ rowsErased: 2, rowsLeft: 0, asides: { [shadow]: 1, [before]: 1 } });
    for (const [table, of] of [
      ['user_logins', day],
      ['user_logins', next],
      [before, day],
      [shadow, next],
    ] as const) {
      expect(await personal(table, of, 'gone')).toBe(0);
      expect(await personal(table, of, 'stays')).toBe(2);
    }
  });

  test('is not undone by a swap of a shadow that was filled later', async () => {
    await filled();
    await shredUser(custody.parts(), 'gone', purpose);
    await custody.admin.execute(
      sql`update ${sql.identifier(shadow)} set masked_ip = 't1:late', ip_sealed = '\\x01'`,
    );
    await change();
    expect(await personal('user_logins', day, 'gone')).toBe(0);
    expect(await personal('user_logins', day, 'stays')).toBe(2);
  });

  test('the sweep finds what comes into a shadow, days included that the topics hold no more', async () => {
    await filled();
    await shredUser(custody.parts(), 'gone', purpose);
    await shredDay(custody.parts(), next, purpose);
    const sweep = (days: number) =>
      custody.admin.withSession((connection) =>
        sweepShreds(connection, {
          stream: userLogins,
          clock: () => Date.now() + days * 86_400_000,
          retention,
        }),
      );
    await sweep(0);
    await custody.admin.execute(sql`update ${sql.identifier(shadow)} set masked_ip = 't1:late'`);
    expect(await sweep(1)).toMatchObject({
      tokensCleared: 2,
      rowsErased: 1,
      vacuumed: [`user_logins_shadow_b1_${compact}`, `user_logins_shadow_b1_${next.replaceAll('-', '')}`],
    });
    expect(await personal(shadow, day, 'gone')).toBe(0);
    expect(await personal(shadow, next)).toBe(0);
  });
});

test('maintenance, the horizon and the keys see one partition a day, whatever lies aside', async () => {
  const seen = async () => {
    const made = await maintainDays({
      database: custody.admin,
      keeper: custody.vault,
      tables: [userLogins.name],
      clock: custody.clock,
    });
    const { rows: horizon } = await custody.admin.execute(custodyHorizon(userLogins.name, today));
    const { rows: keys } = await custody.admin.execute(listKeyDays(userLogins.name, undefined));
    const states = keys.map(({ day: of, attached, has_table: has }) => [of, attached, has]);
    return { made: made.partitions, ahead: horizon[0]?.partition_days, states };
  };
  await filled();
  const before = await seen();
  expect(before).toMatchObject({ made: [], ahead: 7 });
  expect(before.states).toHaveLength(22);
  await change();
  expect(await seen()).toEqual(before);
  await change('unswap');
  expect(await seen()).toEqual(before);
});

describe('the archive', () => {
  const archived = async () => {
    const done = [];
    for await (const one of archiveDays(custody.archivist(), day)) done.push(one);
    return done.filter((one) => one.day === day);
  };

  test('takes no day that has a shadow or a way back, and says so; then as ever', async () => {
    await filled();
    expect(await archived()).toMatchObject([{ day, stuck: { code: 'BACKFILL_OPEN' } }]);
    await change();
    expect(await archived()).toMatchObject([{ day, stuck: { code: 'BACKFILL_OPEN' } }]);
    await clean();
    expect(await archived()).toMatchObject([{ day, rows: 2 }]);
    await expect(createShadow(custody.admin, userLogins, { job: 'b2', days: [day] })).rejects.toMatchObject({
      code: 'DAY_ARCHIVED',
    });
  });

  test('and a swap takes no day that is on its way there', async () => {
    await filled();
    await custody.admin.execute(
      sql`insert into archives (table_name, day, state, location) values ('user_logins', ${day}, 'detaching', 'file:x')`,
    );
    await expect(change()).rejects.toMatchObject({ code: 'DAY_ARCHIVED', detail: `${day} (detaching)` });
  });
});

test('rights: shadow and aside are for replayer, operator and shredder; what is live is reached through its table', async () => {
  await custody.admin.execute(sql`do $$ begin create role sluice_replayer nologin;
    exception when duplicate_object or unique_violation then null; end $$`);
  await custody.admin.execute(
    sql`grant insert, select (create_date, event_id) on user_logins to sluice_replayer`,
  );
  await filled();
  /** `replayer insert`, … : whoever can do anything with a table, or with a column of it. */
  const rights = async (table: string) => {
    const { rows } = await custody.admin.execute<{ may: string }>(sql`
      select replace(rolname, 'sluice_', '') || ' ' || privilege as may
      from pg_roles cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate']) privilege
      where rolname like 'sluice\\_%' and case when privilege in ('delete', 'truncate')
        then has_table_privilege(rolname, ${table}, privilege) else has_any_column_privilege(rolname, ${table}, privilege) end
      order by 1`);
    return rows.map(({ may }) => may);
  };
  const reading = ['operator select', 'shredder select', 'shredder update'];
  expect(await rights(shadow)).toEqual([
    reading[0],
    'replayer insert',
    'replayer select',
    ...reading.slice(1),
  ]);
  expect(await rights(`${shadow}_${compact}`)).toEqual([]);
  await change();
  expect(await rights(before)).toEqual(reading);
  expect(await rights(partition)).toEqual([]);
  await change('unswap');
  expect(await rights(`${shadow}_${compact}`)).toEqual(reading);
  expect(await rights(partition)).toEqual([]);
  const sealed = custody.database.open('operator', { max: 1 });
  await expect(sealed.execute(sql`select ip_sealed from ${sql.identifier(shadow)}`)).rejects.toMatchObject({
    code: 'DATABASE_FORBIDDEN',
  });
});
