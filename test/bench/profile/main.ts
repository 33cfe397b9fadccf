import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sql } from 'drizzle-orm';
import { measureConnector } from '../connector-bench.ts';
import { describeMachine, machine, saveResult } from '../results.ts';
import { openBenchServers, postgresSettings, type BenchServers } from '../servers.ts';
import { WriterBench } from '../writer-bench.ts';
import { microsByStage, type Stage } from './cpu-profile.ts';
import { connectorStages, writerStages } from './stages.ts';

/**
 * `npm run bench:profile`: where each microsecond goes from SQS's bytes to the bytes of Postgres's WAL. Main threads by V8's sampling profiler, the
 * insert by pg_stat_statements. A process that is profiled takes a tenth more.
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '300000' },
    messages: { type: 'string', default: '50000' },
  },
});
const rows = Number(values.rows);
const messages = Number(values.messages);

/** One line of the budget. */
interface Line {
  readonly part: 'connector' | 'writer' | 'Postgres';
  readonly stage: string;
  /** A message or row. */
  readonly micros: number;
}

const on = machine();
const { lines, wal } = await measured();
console.log(`\n${describeMachine(on)}; ${messages} messages, ${rows} rows\n`);
console.table(lines.map(({ part, stage, micros }) => ({ part, stage, 'CPU µs each': micros.toFixed(2) })));
console.log(`WAL: ${wal.bytes.toFixed(0)} bytes a row, ${wal.fullPages.toFixed(0)} of them full pages`);
saveResult('profile', { machine: on, rows, messages, settings: postgresSettings, lines, wal });

async function measured() {
  await using servers = await openBenchServers();
  const connector = await profiled('connector', connectorStages, messages, async (env) => {
    const { cpuMicros } = await measureConnector(servers, messages, env);
    return cpuMicros;
  });
  const written = await writerAndPostgres(servers);
  return { lines: [...connector, ...written.lines], wal: written.wal };
}

async function writerAndPostgres(servers: BenchServers) {
  await using bench = await WriterBench.open(servers, { rows });
  const { admin } = bench.pipeline;
  await admin.execute(sql`create extension pg_stat_statements`);
  // Once before, for the compiler's cache and the table's pages.
  await bench.measure();
  await admin.execute(sql`select pg_stat_statements_reset()`);
  let postgres = 0;
  const writer = await profiled('writer', writerStages, rows, async (env) => {
    const sample = await bench.measure(env);
    postgres = sample.postgresMicros ?? Number.NaN;
    return sample.cpuMicros;
  });
  const { rows: found } = await admin.execute<Record<'exec' | 'bytes' | 'full_pages', number>>(sql`
    select sum(total_exec_time)::float8 * 1000 as exec, sum(wal_bytes)::float8 as bytes,
      sum(wal_fpi)::float8 * 8192 as full_pages
    from pg_stat_statements where query like '%insert into%user_logins%'`);
  const [{ exec, bytes, full_pages: fullPages } = { exec: 0, bytes: 0, full_pages: 0 }] = found;
  const inserting = exec / rows;
  const lines: Line[] = [
    ...writer,
    { part: 'Postgres', stage: 'insert executed: rows, index, WAL records', micros: inserting },
    {
      part: 'Postgres',
      stage: 'the rest: parameters, commit, WAL written, looking on',
      micros: postgres - inserting,
    },
  ];
  return { lines, wal: { bytes: bytes / rows, fullPages: fullPages / rows } };
}

/** Runs a command under the profiler. What its CPU is beyond the profile is of other threads, or of what the profile does not see. */
async function profiled(
  part: 'connector' | 'writer',
  stages: readonly Stage[],
  count: number,
  run: (env: Record<string, string>) => Promise<number>,
): Promise<Line[]> {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-profile-'));
  try {
    const cpuMicros = await run({ NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${directory}` });
    const [file] = readdirSync(directory);
    if (file === undefined) throw new Error('the profiler wrote nothing');
    const byStage = [...microsByStage(readFileSync(join(directory, file), 'utf8'), stages)].map(
      ([stage, micros]): Line => ({ part, stage, micros: micros / count }),
    );
    const seen = byStage.reduce((sum, { micros }) => sum + micros, 0);
    const others = { part, stage: 'other threads, less the start', micros: cpuMicros - seen };
    return [...byStage.toSorted((a, b) => b.micros - a.micros), others];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
