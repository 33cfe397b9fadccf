import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { restoreDay } from '../../../db/archive/restore-day.ts';
import { recoverEvent } from '../../../services/recover/recover.ts';
import { shredUser } from '../../../services/shred/shred-user.ts';
import { userLogins } from '../../../shared/streams/user-logins.ts';
import { addDays, dayOf, type Day } from '../../../shared/time.ts';
import { maintainAround } from '../recover/fixtures.ts';
import { Crash, CrashPoint, Custody, purpose } from './fixtures.ts';

/** Orders carry the database's time: days around the real one. */
const today = dayOf(Date.now());
const [old, day, next] = [addDays(today, -30), addDays(today, -3), addDays(today, -2)];
const user = 'u-7f1c';

let custody: Custody;
beforeEach(async () => {
  custody = await Custody.create(inject('postgresAdminUrl'), today);
});
afterEach(() => custody[Symbol.asyncDispose]());

interface Counted extends Record<string, unknown> {
  readonly day: Day;
  readonly user_id: string;
  readonly rows: number;
  readonly erased: number;
  readonly whole: number;
}

/** Rows by day and user: with no personal field left, and with every one there. */
async function counted(): Promise<Counted[]> {
  const { rows } = await custody.admin.execute<Counted>(sql`
    select to_char(create_date, 'YYYY-MM-DD') as day, user_id, count(*)::integer as rows,
      count(*) filter (where num_nonnulls(ip_sealed, device_id_sealed, masked_ip, masked_device_id, masked_ip_prior, masked_device_id_prior) = 0)::integer as erased,
      count(*) filter (where num_nonnulls(ip_sealed, device_id_sealed, masked_ip, masked_device_id) = 4)::integer as whole
    from user_logins group by create_date, user_id order by create_date, user_id`);
  return rows;
}

async function orders(): Promise<Record<string, unknown>[]> {
  const { rows } = await custody.admin.execute(
    sql`select scope, user_id, finished_at is not null as finished, proof from shreds order by id`,
  );
  return rows;
}

test('a user is erased in every day, and nobody else', async () => {
  await custody.store([
    ...Array.from({ length: 3 }, () => ({ day, userId: user })),
    { day: next, userId: user },
    { day, userId: 'other' },
    { day: next, userId: `${user}0` },
  ]);
  const report = await shredUser(custody.parts(), user, purpose);
  expect(await counted()).toEqual([
    { day, user_id: 'other', rows: 1, erased: 0, whole: 1 },
    { day, user_id: user, rows: 3, erased: 3, whole: 0 },
    { day: next, user_id: user, rows: 1, erased: 1, whole: 0 },
    { day: next, user_id: `${user}0`, rows: 1, erased: 0, whole: 1 },
  ]);
  const proof = { rowsErased: 4, rowsLeft: 0, days: { [day]: 3, [next]: 1 }, archivedDays: [] };
  expect(report).toMatchObject({
    rowsErased: 4,
    proof,
    // SQS keeps a message 14 days, a segment spans 7, the topics keep 21 and 90, and one day for Kafka.
    rawTopicUntil: addDays(today, 43),
    deadLetterTopicUntil: addDays(today, 140),
  });
  expect(await orders()).toEqual([{ scope: 'user', user_id: user, finished: true, proof }]);
  // Neither the report nor the log that cannot be taken back says who.
  const subject = `user:sha256:${createHash('sha256').update(user).digest('hex')}`;
  expect(await custody.accessLog()).toEqual([{ action: 'shred', subject, ...purpose }]);
  expect(JSON.stringify(report)).not.toContain(user);
});

test('the row stays, and recovery says that its fields are erased', async () => {
  const [stored] = await custody.store([{ day, userId: user }]);
  await shredUser(custody.parts(), user, purpose);
  const door = { connection: custody.database.open('recoverer'), keys: custody.vault, stream: userLogins };
  const { event } = await recoverEvent(door, { eventId: stored?.eventId ?? '', day }, purpose);
  expect(event).toMatchObject({ day, clear: { user_id: user }, personal: {} });
});

test('what was sent after the order is not covered', async () => {
  await custody.store([
    { day, userId: user },
    { day: next, userId: user },
  ]);
  await custody.admin.execute(
    sql`update user_logins set sent_at = now() + interval '1 hour' where create_date = ${next}`,
  );
  await shredUser(custody.parts(), user, purpose);
  expect((await counted()).map(({ erased }) => erased)).toEqual([1, 0]);
});

test('a second order covers what has come since the first', async () => {
  await custody.store([{ day, userId: user }]);
  const first = await shredUser(custody.parts(), user, purpose);
  await custody.store([{ day, userId: user }]);
  const second = await shredUser(custody.parts(), user, { reason: 'again', ticket: 'PRIV-20' });
  expect(second.order).not.toBe(first.order);
  expect(second).toMatchObject({ rowsErased: 1, ticket: 'PRIV-20', proof: { rowsErased: 2, rowsLeft: 0 } });
});

test('a user nobody knows: the order stands, for records may lie unread', async () => {
  expect(await shredUser(custody.parts(), 'nobody', purpose)).toMatchObject({
    rowsErased: 0,
    proof: { rowsErased: 0, days: {} },
  });
  expect(await orders()).toMatchObject([{ user_id: 'nobody', finished: true }]);
});

test('a name that SQL or JSON could stumble over is a name', async () => {
  const odd = `x'; drop table shreds; -- "\\ü\u{1f600}%_`;
  await custody.store([
    { day, userId: odd },
    { day, userId: 'x' },
  ]);
  expect(await shredUser(custody.parts(), odd, purpose)).toMatchObject({ rowsErased: 1 });
});

test.for(['', 'x'.repeat(129), 'a\0b', '\ud800'])('refuses %j', async (userId) => {
  await expect(shredUser(custody.parts(), userId, purpose)).rejects.toMatchObject({ code: 'USAGE' });
  expect(await orders()).toEqual([]);
});

describe('in the archive', () => {
  test('a user is erased when the day comes back, before anybody sees it', async () => {
    await maintainAround(custody.admin, custody.vault, addDays(today, -25));
    await custody.store([
      { day: old, userId: user },
      { day: old, userId: 'other' },
    ]);
    await custody.archive(old);
    const report = await shredUser(custody.parts(), user, purpose);
    expect(report).toMatchObject({ rowsErased: 0, proof: { archivedDays: [old] } });
    const restored = await custody.admin.withSession((connection) =>
      restoreDay(custody.archivist(), connection, old, 7),
    );
    expect(restored).toMatchObject({ rows: 2, erased: 1 });
    expect(await counted()).toEqual([
      { day: old, user_id: 'other', rows: 1, erased: 0, whole: 1 },
      { day: old, user_id: user, rows: 1, erased: 1, whole: 0 },
    ]);
  });
});

test('a run that is cut off anywhere is finished by the next, under the same order', async () => {
  async function cutOff(userId: string, at: number, when: 'before' | 'after'): Promise<number> {
    await custody.store([
      { day, userId },
      { day: next, userId },
    ]);
    const crash = new CrashPoint(at, when);
    const error = await shredUser(crash.wrap(custody.parts()), userId, purpose).catch(
      (thrown: unknown) => thrown,
    );
    expect(error instanceof Crash).toBe(at >= 0);
    const touched = (await counted()).filter((row) => row.user_id === userId && row.erased > 0);
    const placed = (await orders()).filter((order) => order['user_id'] === userId);
    expect(placed.length > 0 || touched.length === 0).toBe(true);
    const report = await shredUser(custody.parts(), userId, purpose);
    expect(report.proof).toMatchObject({ rowsErased: 2, rowsLeft: 0 });
    const after = (await orders()).filter((order) => order['user_id'] === userId);
    expect(after.every(({ finished }) => finished === true)).toBe(true);
    // One order, unless the first run had finished it and nobody was told.
    expect(after.length).toBe(placed[0]?.['finished'] === true ? 2 : 1);
    return crash.calls;
  }
  const points = await cutOff('u-whole', -1, 'before');
  expect(points).toBeGreaterThan(20);
  for (let at = 0; at < points; at++) {
    await cutOff(`u-${at}-before`, at, 'before');
    await cutOff(`u-${at}-after`, at, 'after');
  }
});
