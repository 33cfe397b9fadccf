import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sql, type SQL } from 'drizzle-orm';
import { diff } from '../../services/replayer/diff.ts';
import { clean } from '../../services/replayer/clean.ts';
import { swap } from '../../services/replayer/swap.ts';
import { Pace } from '../../shared/pace.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { addDays } from '../../shared/time.ts';
import { Backfill, job, loginRows, today } from '../db/shadow/fixtures.ts';
import { openOwnPostgres } from '../helpers/own-postgres.ts';

/**
 * `npm run bench:backfill`: a new column for a million rows, by shadow and swap, on a Postgres of its own with fsync on. Readers run queries all the
 * while and a writer inserts; once for comparison with nothing else at work, then through swap, way back, and swap again. **Prints how many
 * queries failed and how long the longest took**, and fails when one did, when a reader saw fewer rows than before, or when a row was lost.
 *
 * The shadow is filled by a statement, not by a replay: what is measured is what comes after.
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    days: { type: 'string', default: '4' },
    rate: { type: 'string', default: '500' },
    rest: { type: 'string', default: '20' },
  },
});
const dayCount = Number(values.days);
const rowsPerDay = Math.round(Number(values.rows) / dayCount);
const days = Array.from({ length: dayCount }, (_, i) => addDays(today, i - dayCount + 1));

interface Sample {
  readonly phase: string;
  readonly kind: string;
  readonly ms: number;
}

await using postgres = await openOwnPostgres({ settings: ['max_wal_size=4GB', 'shared_buffers=512MB'] });
await postgres.start();
await using backfill = await Backfill.create(postgres.adminUrl);
const seconds: Record<string, number> = {};
const samples: Sample[] = [];
const failures: string[] = [];
let phase = 'before';
let stop = false;

await timed('store', () => backfill.store(rowsPerDay, days));
await backfill.admin.execute(sql`alter table user_logins add column platform varchar(16)`);
await backfill.admin.execute(sql`grant select (platform) on user_logins to sluice_operator, sluice_analyst`);
const { name } = await backfill.make(days);
await timed('fill the shadow', async () => {
  await backfill.replay(name);
  await backfill.admin.execute(sql`update ${sql.identifier(name)} set platform = lower(device_type)`);
});
await backfill.admin.execute(sql`vacuum (analyze) user_logins`);

const port = {
  env: {
    ADMIN_DATABASE_URL: backfill.database.urls.admin,
    OPERATOR_DATABASE_URL: backfill.database.urls.operator,
  },
  stdout: new PassThrough(),
};
port.stdout.pipe(process.stderr);
const options = { job, examples: 3, maxWait: 500 };
await timed('diff', () => diff(options, port));
const traffic = [...readers(), writer()];
await sleep(Number(values.rest) * 1_000);
await timed('swap', () => during('swap', () => swap('swap', options, port)));
await timed('unswap', () => during('unswap', () => swap('unswap', options, port)));
await timed('swap again', () => during('swap again', () => swap('swap', options, port)));
stop = true;
const written = (await Promise.all(traffic)).reduce((sum, rows) => sum + rows, 0);

const { rows: found } = await backfill.admin.execute<{ rows: number; filled: number }>(
  sql`select count(*)::integer as rows, count(platform)::integer as filled from user_logins`,
);
const [{ rows, filled } = { rows: 0, filled: 0 }] = found;
await timed('clean', () => clean({ job, yes: true }, port));
report();

/** Four sessions: a day counted, all days grouped by token as analysts do, one event by its key, the newest through the view. */
function readers(): Promise<number>[] {
  const counts = new Map<string, number>();
  const kinds: [string, () => SQL][] = [
    [
      'count a day',
      () => sql`select count(*)::integer as rows from user_logins where create_date = ${any()}`,
    ],
    [
      'count by token',
      () => sql`select sum(rows)::integer as rows from (
        select masked_ip, count(*) as rows from user_logins group by masked_ip) by_token`,
    ],
    [
      'one event',
      () =>
        sql`select 1 as rows from user_logins where create_date = ${any()} and event_id = ${randomUUID()}`,
    ],
    [
      'ten of the view',
      () => sql`select count(*)::integer as rows from (
        select * from user_logins_masked where create_date = ${any()} order by event_id limit 10) ten`,
    ],
  ];
  return kinds.map(async ([kind, statement]) => {
    const database = backfill.database.open('analyst', { max: 1 });
    while (!stop) {
      const now = phase;
      const began = performance.now();
      try {
        const { rows: answer } = await database.execute<{ rows: number }>(statement());
        samples.push({ phase: now, kind, ms: performance.now() - began });
        const seen = answer[0]?.rows ?? 0;
        if (kind === 'count by token') {
          if (seen < (counts.get(kind) ?? 0)) failures.push(`${kind}: ${seen} after ${counts.get(kind)}`);
          counts.set(kind, seen);
        }
        if (kind === 'count a day' && seen < rowsPerDay) failures.push(`${kind}: ${seen}`);
      } catch (error) {
        failures.push(`${kind}: ${error instanceof Error ? error.message : 'not an Error'}`);
      }
    }
    return 0;
  });
}

function any(): string {
  return days[Math.floor(Math.random() * days.length)] ?? today;
}

async function writer(): Promise<number> {
  const database = backfill.database.open('writer', { max: 1 });
  const pace = new Pace(Number(values.rate));
  const batch = 25;
  let rows = 0;
  while (!stop) {
    await pace.take(batch);
    const now = phase;
    const began = performance.now();
    try {
      await database.execute(loginRows(today, batch));
      rows += batch;
    } catch (error) {
      failures.push(`insert: ${error instanceof Error ? error.message : 'not an Error'}`);
    }
    samples.push({ phase: now, kind: `insert of ${batch}`, ms: performance.now() - began });
  }
  return rows;
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const began = performance.now();
  await work();
  seconds[what] = (performance.now() - began) / 1_000;
}

async function during(what: string, work: () => Promise<unknown>): Promise<void> {
  phase = what;
  await work();
  // Queries that began under it belong to it.
  await sleep(500);
  phase = 'between';
}

function report(): void {
  const table: Record<string, Record<string, string>> = {};
  for (const [key, list] of Map.groupBy(samples, (sample) => `${sample.kind}, ${sample.phase}`)) {
    const sorted = list.map(({ ms }) => ms).sort((a, b) => a - b);
    const at = (share: number) =>
      (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(1);
    table[key] = {
      queries: String(sorted.length),
      'p50 ms': at(0.5),
      'p99 ms': at(0.99),
      'longest ms': at(1),
    };
  }
  const expected = rowsPerDay * dayCount + written;
  const result = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    rows: rowsPerDay * dayCount,
    days: dayCount,
    seconds,
    queries: samples.length,
    failures: failures.length,
    written,
    lost: expected - rows,
    filled,
  };
  console.table(table);
  console.log(JSON.stringify(result, undefined, 2));
  for (const failure of failures.slice(0, 10)) console.log(failure);
  const directory = fileURLToPath(new URL('../../.sluice/bench', import.meta.url));
  mkdirSync(directory, { recursive: true });
  const file = `${directory}/backfill-${new Date().toISOString().replaceAll(':', '-')}.json`;
  writeFileSync(file, `${JSON.stringify({ ...result, table, failures }, undefined, 2)}\n`);
  if (failures.length > 0 || rows !== expected || filled !== rowsPerDay * dayCount) process.exitCode = 1;
}
