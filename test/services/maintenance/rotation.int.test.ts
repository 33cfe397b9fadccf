import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql, type SQL } from 'drizzle-orm';
import type { QueryResultRow } from 'pg';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database, Session } from '../../../db/client.ts';
import { classifyDatabaseError } from '../../../db/classify.ts';
import { ensureKeys } from '../../../services/maintenance/ensure-keys.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { runWriter } from '../../../services/writer/writer.ts';
import { addDays, dayOf, msPerDay, type Day } from '../../../shared/time.ts';
import {
  createFileVault,
  openDayPrivateKeys,
  openKeyKeeper,
  openPeppers,
  openTransitKeys,
} from '../../../shared/vault/open-vault.ts';
import type { DayPrivateKeys, KeyKeeper, Peppers, TransitKeys } from '../../../shared/vault/ports.ts';
import { createDatabase } from '../../helpers/database.ts';
import { everyPublishedKeyOpens, everyRowUnderItsDay, type ExpectedRow } from '../../helpers/day-keys.ts';
import { FakeKafka } from '../../helpers/fake-kafka.ts';
import { eventually } from '../../helpers/pipeline.ts';
import { TestWriter } from '../../helpers/writer.ts';
import { recordingLogger } from '../connector/fixtures.ts';

const minute = 60_000;
const hour = 3_600_000;
const at = (text: string) => Date.parse(`${text}Z`);

let cleanup: AsyncDisposableStack;
let admin: Database;
let keeper: KeyKeeper;
let vault: TransitKeys & Peppers;
let privateKeys: DayPrivateKeys;
let writer: TestWriter;
/** Everybody's clock. */
let now: number;
let expected: Map<string, ExpectedRow>;
/** When, by the clock, which events were written. */
let writtenAt: Map<string, number>;

beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-rotation-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const config = { VAULT_URL: `file:${directory}/vault` };
  await createFileVault(`${directory}/vault`, `${directory}/recoverer.key`);
  const database = cleanup.use(await createDatabase(inject('postgresAdminUrl')));
  admin = database.open('admin');
  keeper = await openKeyKeeper(config);
  vault = { ...(await openTransitKeys(config)), ...(await openPeppers(config)) };
  privateKeys = await openDayPrivateKeys(config, `${directory}/recoverer.key`);
  writer = cleanup.use(new TestWriter({ connection: database.open('writer'), vault, clock: () => now }));
  expected = new Map();
  writtenAt = new Map();
});
afterEach(() => cleanup.disposeAsync());

const maintain = () => maintainDays({ database: admin, keeper, tables: ['user_logins'], clock: () => now });

/** An event of that time, to be found again by its address. */
function event(sentAtMs: number) {
  const eventId = randomUUID();
  const n = expected.size;
  const ip = `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
  expected.set(eventId, { sentAtMs, ip });
  return { eventId, sentAtMs, ip };
}

/** One batch, in this order: events sent so many milliseconds from now. */
async function write(...offsetsMs: number[]): Promise<void> {
  const logins = offsetsMs.map((offset) => event(now + offset));
  await writer.writeLogins(logins);
  for (const { eventId } of logins) writtenAt.set(eventId, now);
}

/** No data key was used for longer than an hour by the clock. */
async function dataKeysKeepTheirHour(): Promise<void> {
  const { rows } = await admin.execute<{ dek_id: string; event_id: string }>(
    sql`select dek_id, event_id from user_logins`,
  );
  const uses = Map.groupBy(rows, ({ dek_id }) => dek_id);
  for (const [, events] of uses) {
    const times = events.map(({ event_id }) => writtenAt.get(event_id) ?? 0);
    expect(Math.max(...times) - Math.min(...times)).toBeLessThan(hour);
  }
}

async function allIsWell(): Promise<void> {
  await everyRowUnderItsDay(admin, privateKeys, expected);
  await dataKeysKeepTheirHour();
  expect(writer.deadCodes).toEqual([]);
}

describe('a clock carried on', () => {
  test('over midnight: both days interleaved, each event under the key of its own', async () => {
    now = at('2026-11-24T22:00:00');
    await maintain();
    for (; now < at('2026-11-25T02:00:00'); now += 7 * minute) {
      await write(0, -30 * minute, 0, -3 * hour, 20 * minute, -1);
    }
    await allIsWell();
    const { rows } = await admin.execute(
      sql`select to_char(day, 'YYYY-MM-DD') as day, count(*)::integer as n from data_keys group by day order by day`,
    );
    expect(rows.map(({ day }) => day)).toEqual(['2026-11-24', '2026-11-25']);
  });

  test('over the ends of months, a leap day and a year, with maintenance once a day', async () => {
    for (const [from, to] of [
      ['2028-01-28', '2028-03-03'],
      ['2028-12-29', '2029-01-03'],
    ] as const) {
      for (now = at(`${from}T00:00:00`); now < at(`${to}T00:00:00`); now += 8 * hour) {
        if (now % msPerDay === 0) await maintain();
        await write(0, -13 * msPerDay, -1, -6 * hour, minute);
      }
    }
    await allIsWell();
    expect([...new Set([...expected.values()].map(({ sentAtMs }) => dayOf(sentAtMs)))]).toContain(
      '2028-02-29',
    );
  });

  test('an hour back and forth, around midnight and around noon', async () => {
    now = at('2026-11-24T12:00:00');
    await maintain();
    for (const time of ['12:00:00', '11:00:00', '12:30:00', '11:30:00', '23:59:59', '22:59:59']) {
      now = at(`2026-11-24T${time}`);
      await write(0, -msPerDay, 0);
    }
    for (const time of ['2026-11-25T00:30:00', '2026-11-24T23:30:00', '2026-11-25T00:31:00']) {
      now = at(time);
      await write(0, hour, -hour, 0);
      await maintain();
    }
    await allIsWell();
    expect(expected.size).toBe(30);
  });
});

describe('maintenance that has stopped', () => {
  test('for ten days: the writer waits and alarms, then goes on; nothing is dead, nothing under another key', async () => {
    now = at('2026-11-01T12:00:00');
    await maintain();
    for (let day = 0; day <= 7; day++, now += msPerDay) await write(0, -msPerDay, 0);
    expect(dayOf(now)).toBe('2026-11-09');

    // The horizon has run out. Without the connector, whose transit key is missing too: a body as it came.
    const kafka = new FakeKafka();
    kafka.createTopic('raw', 2);
    const append = (sentAtMs: number, partition: number) => {
      const { eventId, ip } = event(sentAtMs);
      const login = { user_id: 'u', app_version: '2.3.0', device_type: 'ios', ip, device_id: 'd' };
      const value = Buffer.from(JSON.stringify(login));
      kafka.append('raw', partition, [{ key: Buffer.from(eventId), value, timestampMs: sentAtMs }]);
    };
    const before = expected.size;
    append(now - msPerDay, 0);
    append(now, 0);
    append(now, 1);
    append(now - msPerDay, 1);
    const { log, lines } = recordingLogger();
    const stop = new AbortController();
    const running = runWriter(
      {
        consumer: kafka.consumer({ topic: 'raw', groupId: 'g' }),
        steps: writer.steps,
        // One by one, so that what lies before the missing key is written.
        limits: { maxRecords: 1, maxBytes: 1e6, lingerMs: 0, queueBytes: 1e6 },
        log,
        classify: classifyDatabaseError,
      },
      { stop: stop.signal, force: stop.signal },
    );
    running.catch(() => undefined);
    const alarms = () => lines.filter(({ level, code }) => level === 'error' && code === 'KEY_MISSING');
    await eventually('an alarm', () => alarms().length > 0);
    for (let day = 0; day < 3; day++) {
      now += msPerDay;
      await new Promise((resolve) => setTimeout(resolve, 200));
      const { rows } = await admin.execute<{ n: number }>(
        sql`select count(*)::integer as n from user_logins`,
      );
      expect(rows[0]?.n).toBeLessThanOrEqual(before + 2);
      for (const [, next] of kafka.committed('g')) expect(next).toBeLessThanOrEqual(1n);
    }
    expect(alarms()).toHaveLength(1);

    await maintain();
    await eventually('everything committed', () =>
      [0, 1].every((partition) => kafka.committed('g').get(partition) === 2n),
    );
    stop.abort();
    await running;
    await everyRowUnderItsDay(admin, privateKeys, expected);
    expect(writer.deadCodes).toEqual([]);
    expect(lines.at(-1)).toMatchObject({ level: 'info' });
  });
});

describe('a day that was shredded', () => {
  test('gets no new key; its records are dead letters within a minute, its neighbours are written', async () => {
    now = at('2026-11-24T12:00:00');
    await maintain();
    await write(0, -msPerDay);
    await admin.execute(sql`update day_keys set destroyed_at = now() where day = '2026-11-23'`);
    now += minute;
    await writer.writeLogins([{ sentAtMs: now - msPerDay }, event(now), { sentAtMs: now - msPerDay }]);
    expect(writer.deadCodes).toEqual(['DAY_SHREDDED', 'DAY_SHREDDED']);
    expect((await maintain()).dayKeys).toEqual([]);
    await everyRowUnderItsDay(admin, privateKeys, expected);
  });
});

class Crash extends Error {}

/** Counts every call that is made of vault and database, and dies at the n-th, before or after it took effect. */
function dyingAt(n: number, when: 'before' | 'after') {
  let calls = 0;
  const made: string[] = [];
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const here = ++calls === n;
    made.push(name);
    if (here && when === 'before') throw new Crash();
    const result = await work();
    if (here) throw new Crash();
    return result;
  };
  const session: Session = {
    execute: <Row extends QueryResultRow>(statement: SQL<Row> | SQL) =>
      step('execute', () => admin.execute<Row>(statement)),
  };
  const counted: KeyKeeper = {
    putDayPrivateKey: (...args) => step('putDayPrivateKey', () => keeper.putDayPrivateKey(...args)),
    ensureTransitKey: (...args) => step('ensureTransitKey', () => keeper.ensureTransitKey(...args)),
    ensurePepper: (...args) => step('ensurePepper', () => keeper.ensurePepper(...args)),
    transitDays: () => step('transitDays', () => keeper.transitDays()),
    destroyTransitKey: (...args) => step('destroyTransitKey', () => keeper.destroyTransitKey(...args)),
  };
  return { session, keeper: counted, made };
}

describe('a crash between "made", "in the vault" and "published"', () => {
  test.for(['before', 'after'] as const)(
    '%s any call: what is published opens, what was sealed opens, the next run finishes',
    async (when) => {
      now = at('2026-11-24T12:00:00');
      await maintain();
      let crashes = 0;
      let made: readonly string[] = [];
      for (let n = 1; ; n++) {
        // Days that have nothing yet, each time others.
        const first = addDays('2030-01-01', n * 3);
        const days: Day[] = [first, addDays(first, 1), addDays(first, 2)];
        const parts = dyingAt(n, when);
        const died = await ensureKeys(parts.session, parts.keeper, days).then(
          () => false,
          (error: unknown) => error instanceof Crash,
        );
        made = parts.made;
        if (!died) break;
        crashes += 1;
        const before = await everyPublishedKeyOpens(admin, privateKeys);
        // Whatever is published may be used at once.
        await sealUnder([...before.keys()].filter((day) => days.includes(day)));
        await ensureKeys(admin, keeper, days);
        const after = await everyPublishedKeyOpens(admin, privateKeys);
        expect(days.every((day) => after.has(day))).toBe(true);
        for (const [day, { publicKey }] of before) expect(after.get(day)?.publicKey).toEqual(publicKey);
        for (const day of days) expect(await vault.transitKey(day)).toBeDefined();
      }
      expect(made).toEqual([
        'execute',
        'execute',
        ...Array.from({ length: 3 }, () => ['ensureTransitKey', 'putDayPrivateKey', 'execute']).flat(),
      ]);
      expect(crashes).toBe(made.length);
      await everyRowUnderItsDay(admin, privateKeys, expected);
    },
  );

  /** Writes an event of each of the days. */
  async function sealUnder(days: readonly Day[]): Promise<void> {
    for (const day of days) {
      const table = sql.identifier(`user_logins_${day.replaceAll('-', '')}`);
      const make: SQL = sql`create table ${table} partition of user_logins for values from (${sql.raw(`'${day}'`)}) to (${sql.raw(`'${addDays(day, 1)}'`)})`;
      await admin.execute(make);
      now = at(`${day}T12:00:00`);
      await writer.writeLogins([event(now)]);
    }
  }
});
