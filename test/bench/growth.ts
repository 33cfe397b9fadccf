import { sql } from 'drizzle-orm';
import { parseArgs } from 'node:util';
import { sleep } from '../../shared/lifecycle.ts';
import { createPipeline, type Pipeline } from '../helpers/pipeline.ts';
import { preloadTopic } from '../helpers/preload.ts';
import { contest, rateOf, tableOf, totalCpuOf, type Samples } from './contest.ts';
import { openRowSample } from './open-sample.ts';
import { describeMachine, lastGrowth, machine, saveResult } from './results.ts';
import { openBenchServers, postgresSettings, type BenchServers } from './servers.ts';
import { measureInto, Sink, type Sample } from './sink.ts';
import { median } from './spread.ts';
import { WriterBench } from './writer-bench.ts';

/**
 * `npm run bench:growth`: what does not grow. Rows a second into a day that has many rows already, CPU a row from 1 to 64 partitions, and the peak
 * memory of a writer with a long backlog. `--filled 20000000` and `--backlogs 100000,10000000` for the sizes of the goals; `--only` for one part.
 */
const { values } = parseArgs({
  options: {
    filled: { type: 'string', default: '5000000' },
    rows: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '3' },
    partitions: { type: 'string', default: '1,8,64' },
    backlogs: { type: 'string', default: '100000,1000000' },
    only: { type: 'string' },
  },
});
const filled = Number(values.filled);
const rows = Number(values.rows);
const rounds = Number(values.rounds);
const wanted = (part: string) => values.only === undefined || values.only === part;

/** A run over more takes minutes: one has to do. */
const manyRecords = 1_000_000;

/** Later settings win. The key's index of 20,000,000 rows takes 1.2 GB, and whoever has such days gives Postgres a quarter of the memory. */
const settings = postgresSettings.concat('shared_buffers=4GB');
const on = machine();
const measured: Record<string, Samples> = {};
{
  await using servers = await openBenchServers(settings);
  if (wanted('rows')) measured['rows'] = await filledAgainstEmpty(servers);
  if (wanted('partitions')) measured['partitions'] = await byPartitions(servers);
  if (wanted('backlog')) measured['backlog'] = await byBacklog(servers);
}
console.log(`\n${describeMachine(on)}; medians (lowest … highest)`);
for (const [part, samples] of Object.entries(measured)) {
  console.log(`\n${part}`);
  console.table(tableOf(samples));
}
const ratio = (samples: Samples | undefined, of: (list: readonly Sample[]) => number) => {
  const figures = Object.values(samples ?? {}).map(of);
  return ((figures.at(-1) ?? Number.NaN) / (figures[0] ?? Number.NaN)).toFixed(2);
};
if (measured['rows'])
  console.log(`rows a second, full / empty: ${ratio(measured['rows'], rateOf)} (goal: 0.8 at least)`);
if (measured['partitions'])
  console.log(
    `CPU a row, most / fewest partitions: ${ratio(measured['partitions'], totalCpuOf)} (goal: 0.8 … 1.2)`,
  );
if (measured['backlog'])
  console.log(
    `peak memory, longest / shortest: ${ratio(measured['backlog'], (list) => median(list.map(({ peakMiB }) => peakMiB ?? Number.NaN)))}`,
  );
// Parts that were not measured now stay as they were measured last.
const parts = {
  ...lastGrowth(),
  ...Object.fromEntries(
    Object.entries(measured).map(([part, samples]) => [part, { machine: on, rows, rounds, samples }]),
  ),
};
saveResult('growth', { machine: on, filled, settings, parts });

async function filledAgainstEmpty(servers: BenchServers): Promise<Samples> {
  await using empty = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  await using full = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  await fill(full);
  const next = async (pipeline: Pipeline): Promise<Sample> => {
    if (pipeline === empty) await pipeline.admin.execute(sql`truncate user_logins`);
    await preloadTopic(pipeline, rows);
    await pipeline.admin.execute(sql`checkpoint`);
    await sleep(1_000);
    const sink = await Sink.from(pipeline.admin, 'user_logins');
    const start = () => pipeline.start('writer');
    const sample = await measureInto(sink, { rows, postgresPid: servers.pids.postgres, start });
    await openRowSample(pipeline, 100);
    return sample;
  };
  const contenders = [
    { name: 'into an empty day', measure: () => next(empty) },
    { name: `into a day of ${filled.toLocaleString('en-US')} rows`, measure: () => next(full) },
  ];
  return await contest(contenders, rounds);
}

/** Rows of today as the writer leaves them, their keys random, made by Postgres itself. */
async function fill(pipeline: Pipeline): Promise<void> {
  const chunk = 500_000;
  console.error(`filling today's partition with ${filled} rows`);
  // Closed with the database.
  const admin = pipeline.database.open('admin', { statementTimeoutMs: 300_000 });
  await admin.execute(sql`insert into data_keys (day, sealed_dek, created_by)
    select day, decode(repeat('00', 80), 'hex'), 'bench' from day_keys where day = (now() at time zone 'utc')::date limit 1`);
  for (let made = 0; made < filled; made += chunk) {
    await admin.execute(sql`insert into user_logins (create_date, event_id, sent_at, user_id, device_type, masked_ip,
        masked_device_id, locale, app_version, app_version_text, ip_sealed, device_id_sealed, dek_id)
      select (now() at time zone 'utc')::date, gen_random_uuid(), now(), gen_random_uuid()::text, 'android', 't1:' || left(md5(i::text), 22),
        't1:' || right(md5(i::text), 22), 'US', 2003000, '2.3.0', decode(repeat(md5(i::text), 4), 'hex'),
        decode(repeat(md5(i::text), 4), 'hex'), (select max(dek_id) from data_keys)
      from generate_series(1::integer, ${Math.min(chunk, filled - made)}::integer) as i`);
  }
  await admin.execute(sql`vacuum analyze user_logins`);
}

async function byPartitions(servers: BenchServers): Promise<Samples> {
  await using open = new AsyncDisposableStack();
  const contenders = [];
  for (const partitions of values.partitions.split(',').map(Number)) {
    const bench = open.use(await WriterBench.open(servers, { rows, partitions }));
    contenders.push(bench.contender(`${partitions} partitions`));
  }
  return await contest(contenders, rounds);
}

async function byBacklog(servers: BenchServers): Promise<Samples> {
  const samples: Samples = {};
  for (const backlog of values.backlogs.split(',').map(Number)) {
    await using bench = await WriterBench.open(servers, { rows: backlog });
    Object.assign(
      samples,
      await contest(
        [bench.contender(`${backlog.toLocaleString('en-US')} records waiting`)],
        backlog > manyRecords ? 1 : rounds,
      ),
    );
  }
  return samples;
}
