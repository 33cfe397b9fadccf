import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import type { Database } from '../../../db/client.ts';
import { destroyTransitKeys } from '../../../services/maintenance/destroy-transit-keys.ts';
import { ensureKeys } from '../../../services/maintenance/ensure-keys.ts';
import { addDays, horizonDays, type Day } from '../../../shared/time.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';

const start = '2026-01-15';

let database: TestDatabase;
let admin: Database;
let vault: FakeVault;
beforeEach(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  admin = database.open('admin');
  vault = new FakeVault();
});
afterEach(() => database[Symbol.asyncDispose]());

const settings = { RAW_TOPIC_RETENTION_DAYS: 21, DEAD_LETTER_TOPIC_RETENTION_DAYS: 90 };

/** What one run of maintenance does about keys. */
async function maintain(today: Day, retention = settings): Promise<Day[]> {
  await ensureKeys(admin, vault, horizonDays(today));
  return destroyTransitKeys(admin, vault, { clock: () => Date.parse(`${today}T23:59:59Z`), retention });
}

function daysBetween(from: Day, to: Day): number {
  return (Date.parse(to) - Date.parse(from)) / 86_400_000;
}

/**
 * The days for which a topic holds a body at most, played through rather than computed: SQS hands a message over on its fourteenth day,
 * the segment it lands in goes on for a week, and Kafka deletes that once its youngest record is past the retention. The writer reads
 * it on the last of these days, and then the same goes for the dead-letter topic.
 */
function heldForDays(retention: typeof settings): number {
  const received = 14;
  const rawDeleted = received + 7 + retention.RAW_TOPIC_RETENTION_DAYS;
  return rawDeleted + 7 + retention.DEAD_LETTER_TOPIC_RETENTION_DAYS;
}

describe('a clock carried over 200 days', () => {
  test.for([
    settings,
    { RAW_TOPIC_RETENTION_DAYS: 15, DEAD_LETTER_TOPIC_RETENTION_DAYS: 15 },
    { RAW_TOPIC_RETENTION_DAYS: 60, DEAD_LETTER_TOPIC_RETENTION_DAYS: 15 },
  ])(
    'raw $RAW_TOPIC_RETENTION_DAYS days, dead letters $DEAD_LETTER_TOPIC_RETENTION_DAYS: a key is there while a body can be, and gone after',
    async (retention) => {
      const held = heldForDays(retention);
      const wrong: string[] = [];
      const destroyedAt = new Map<Day, number>();
      for (let n = 0; n < 200; n++) {
        const today = addDays(start, n);
        for (const day of await maintain(today, retention)) {
          expect(destroyedAt.has(day)).toBe(false);
          destroyedAt.set(day, daysBetween(day, today));
        }
        const there = new Set(await vault.transitDays());
        for (let day = addDays(start, -14); day <= addDays(today, 7); day = addDays(day, 1)) {
          const age = daysBetween(day, today);
          if (there.has(day) ? age > held + 2 : age <= held) wrong.push(`${day} on ${today}`);
        }
      }
      expect(wrong).toEqual([]);
      expect(destroyedAt.size).toBeGreaterThan(60);
      // Of every day at the same age, and never made again.
      expect(new Set(destroyedAt.values())).toEqual(new Set([held + 2]));
    },
  );
});

describe('a shredded day', () => {
  const day = addDays(start, -3);

  test('keeps its transit key while connectors would wait for it, and not a day longer', async () => {
    await maintain(start);
    await admin.execute(sql`update day_keys set destroyed_at = now() where day = ${day}`);
    for (let n = 0; n <= 11; n++) {
      expect(await maintain(addDays(start, n))).toEqual([]);
      expect(await vault.transitDays()).toContain(day);
    }
    expect(await maintain(addDays(start, 12))).toEqual([day]);
    expect(await maintain(addDays(start, 13))).toEqual([]);
    expect(await vault.transitDays()).not.toContain(day);
  });

  test('gets no new keypair', async () => {
    await maintain(start);
    await admin.execute(sql`update day_keys set destroyed_at = now() where day = ${day}`);
    await vault.destroyDayKeys(day);
    await maintain(start);
    await maintain(addDays(start, 1));
    expect((await vault.dayKeys()).filter((key) => key.day === day)).toEqual([]);
  });
});

test('a vault that does not answer half-way: the next run goes on', async () => {
  await maintain(start);
  const later = addDays(start, 160);
  const destroyed: Day[] = [];
  const failing = {
    transitDays: () => vault.transitDays(),
    async destroyTransitKey(day: Day) {
      if (destroyed.length === 5) throw new Error('down');
      destroyed.push(day);
      await vault.destroyTransitKey(day);
    },
  };
  const options = { clock: () => Date.parse(`${later}T00:00:00Z`), retention: settings };
  await expect(destroyTransitKeys(admin, failing, options)).rejects.toThrow('down');
  const rest = await destroyTransitKeys(admin, vault, options);
  expect([...destroyed, ...rest]).toEqual(horizonDays(start).filter((day) => daysBetween(day, later) > 140));
});
