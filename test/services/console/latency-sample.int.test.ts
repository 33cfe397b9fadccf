import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { listCalendar } from '../../../db/queries/list-calendar.ts';
import { sampleDay } from '../../../services/console/look/latency-sample.ts';
import { percentilesOf } from '../../../services/console/look/percentiles.ts';
import { maintainDays } from '../../../services/maintenance/maintain.ts';
import { dayOf } from '../../../shared/time.ts';
import { createDatabase, type TestDatabase } from '../../helpers/database.ts';
import { FakeVault } from '../../helpers/fake-vault.ts';

const today = dayOf(Date.now());
let database: TestDatabase;

/** 40,000 rows in the order in which they came over four hours: slow ones (100 … 200 s) at first, quick ones (1 … 2 s) in the last hour. */
beforeAll(async () => {
  database = await createDatabase(inject('postgresAdminUrl'));
  const admin = database.open('admin');
  await maintainDays({ database: admin, keeper: new FakeVault(), tables: ['user_logins'], clock: Date.now });
  await admin.execute(sql`
    insert into user_logins (create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, app_version,
      app_version_text, ip_sealed, device_id_sealed, dek_id, ingested_at)
    select ${today}, gen_random_uuid(), came - case when came < now() - interval '1 hour' then 100 else 1 end * (1 + i % 100 / 100.0) * interval '1 second',
      'u', 'ios', 't1:abcdefghijklmnopqrstuv', 't1:abcdefghijklmnopqrstuv', 1, '1.0', sha256('a'), sha256('b'), 1, came
    from (select i, now() - (40000 - i) * interval '0.36 seconds' as came from generate_series(1, 40000) i) rows`);
});
afterAll(() => database[Symbol.asyncDispose]());

test('the last hour is found among many pages, as the monitor, and its percentiles are those of all its rows', async () => {
  const monitor = database.open('monitor');
  const { rows: days } = await monitor.execute(listCalendar('user_logins', today, today));
  const [part] = days;
  if (part === undefined) throw new Error('no partition');
  expect(part.bytes / 8_192).toBeGreaterThan(1_000);
  const sample = await sampleDay(monitor, 'user_logins', part, Date.now() / 1_000 - 3_600);
  expect(sample.length).toBeGreaterThan(2_000);
  // Slow ones of before would show at once.
  const { p50 = 0, p95 = 0, p99 = 0 } = percentilesOf(sample) ?? {};
  expect(p50).toBeCloseTo(1.5, 1);
  expect(p95).toBeCloseTo(1.95, 1);
  expect(p99).toBeCloseTo(1.99, 1);
  // What the sample stands for is what came in that hour.
  const rows = sample.reduce((sum, { weight }) => sum + weight, 0);
  expect(rows / 10_000).toBeGreaterThan(0.95);
  expect(rows / 10_000).toBeLessThan(1.05);
  expect(await sampleDay(monitor, 'user_logins', part, Date.now() / 1_000 + 60)).toEqual([]);
});
