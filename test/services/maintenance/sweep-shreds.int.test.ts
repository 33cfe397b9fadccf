import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { sweepShreds, type SweepReport } from '../../../services/maintenance/sweep-shreds.ts';
import { shredDay } from '../../../services/shred/shred-day.ts';
import { shredUser } from '../../../services/shred/shred-user.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { addDays, dayOf, msPerDay } from '../../../shared/time.ts';
import { keyDestroyer } from '../../../shared/vault/keys.ts';
import { Custody, purpose, retention } from '../shred/fixtures.ts';

const day = addDays(dayOf(Date.now()), -3);
const partition = `user_logins_${day.replaceAll('-', '')}`;
const hourMs = 3_600_000;

let custody: Custody;
let now: number;
beforeEach(async () => {
  now = Date.now();
  custody = await Custody.create(inject('postgresAdminUrl'), dayOf(now));
});
afterEach(() => custody[Symbol.asyncDispose]());

function sweep(atMs = now): Promise<SweepReport> {
  return custody.admin.withSession((connection) =>
    sweepShreds(connection, { stream: userLogins, clock: () => atMs, retention }),
  );
}

const nothing: SweepReport = { tokensCleared: 0, rowsErased: 0, vacuumed: [], unfinished: [] };

describe('a shredded day', () => {
  test('that a writer had not heard of loses the tokens that came since', async () => {
    await custody.store([{ day }, { day }]);
    await shredDay(custody.parts(), day, purpose);
    await custody.store([{ day }]);
    expect(await custody.tokens(day)).toMatchObject({ rows: 3, tokens: 1 });
    expect(await sweep()).toEqual({ ...nothing, tokensCleared: 1, vacuumed: [partition] });
    expect(await custody.tokens(day)).toMatchObject({ rows: 3, tokens: 0 });
  });

  test('is looked at again after six hours, for three days', async () => {
    await custody.store([{ day }]);
    await shredDay(custody.parts(), day, purpose);
    expect(await sweep()).toEqual({ ...nothing, vacuumed: [partition] });
    await custody.store([{ day }]);
    expect(await sweep(now + 5 * hourMs)).toEqual(nothing);
    expect(await sweep(now + 7 * hourMs)).toMatchObject({ tokensCleared: 1 });
    await custody.store([{ day }]);
    expect(await sweep(now + 4 * msPerDay)).toEqual(nothing);
  });

  test('that maintenance was not there for is swept once all the same', async () => {
    await custody.store([{ day }]);
    await shredDay(custody.parts(), day, purpose);
    expect(await sweep(now + 300 * msPerDay)).toEqual({ ...nothing, vacuumed: [partition] });
  });

  test('leaves no token in what the planner keeps as samples', async () => {
    await custody.store(Array.from({ length: 400 }, (_, i) => ({ day, ip: `203.0.113.${i % 4}` })));
    await custody.admin.execute(sql.raw(`analyze ${partition}`));
    const samples = async () => {
      const { rows } = await custody.admin.execute<{ text: string }>(
        sql`select coalesce(string_agg(most_common_vals::text || coalesce(histogram_bounds::text, ''), ' '), '') as text
          from pg_stats where tablename = ${partition}`,
      );
      return rows[0]?.text ?? '';
    };
    expect(await samples()).toContain('t1:');
    await shredDay(custody.parts(), day, purpose);
    expect(await samples()).toContain('t1:');
    await sweep();
    expect(await samples()).not.toContain('t1:');
  });
});

describe('an erased user', () => {
  const days = [day, addDays(day, 2)] as const;

  test('of whom records lay unread loses what is written of them', async () => {
    await custody.store(days.map((of) => ({ day: of, userId: 'gone' })));
    await shredUser(custody.parts(), 'gone', purpose);
    await custody.store([
      ...days.map((of) => ({ day: of, userId: 'gone' })),
      { day: days[0], userId: 'stays' },
    ]);
    expect(await sweep()).toMatchObject({ rowsErased: 2, unfinished: [] });
    const { rows } = await custody.admin.execute<{ user_id: string; rows: number; erased: number }>(sql`
      select user_id, count(*)::integer as rows,
        count(*) filter (where num_nonnulls(masked_ip, masked_device_id, ip_sealed, device_id_sealed) = 0)::integer as erased
      from user_logins group by user_id order by user_id`);
    expect(rows).toEqual([
      { user_id: 'gone', rows: 4, erased: 4 },
      { user_id: 'stays', rows: 1, erased: 0 },
    ]);
  });

  test('is looked for as long as the topics can hold a record of theirs', async () => {
    await shredUser(custody.parts(), 'gone', purpose);
    await sweep();
    const after = async (ms: number) => {
      await custody.store([{ day: days[1], userId: 'gone' }]);
      return (await sweep(now + ms)).rowsErased;
    };
    expect(await after(139 * msPerDay)).toBe(1);
    expect(await after(142 * msPerDay)).toBe(0);
  });

  test('who signs in again is another matter', async () => {
    await shredUser(custody.parts(), 'gone', purpose);
    await custody.admin.execute(sql`create table later as select now() + interval '1 hour' as at`);
    await custody.store([{ day: days[1], userId: 'gone' }]);
    await custody.admin.execute(sql`update user_logins set sent_at = (select at from later)`);
    expect(await sweep()).toEqual(nothing);
  });
});

test('an order that was cut off is named at every run', async () => {
  const attempt = shredDay(
    custody.parts({
      destroyer: {
        ...keyDestroyer(custody.vault.store),
        destroyDayKeys: () => Promise.reject(new Error('killed')),
      },
    }),
    day,
    purpose,
  );
  await expect(attempt).rejects.toThrow('killed');
  const unfinished = [{ id: '1', scope: 'day', day, ticket: purpose.ticket }];
  expect(await sweep()).toEqual({ ...nothing, unfinished });
  expect(await sweep()).toEqual({ ...nothing, unfinished });
});
