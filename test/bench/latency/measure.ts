import { sql } from 'drizzle-orm';
import type { Session } from '../../../db/client.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { createPipeline, eventually, type Pipeline } from '../../helpers/pipeline.ts';
import type { ServiceProcess } from '../../helpers/service-process.ts';
import { startPeer, type Peer } from '../peers/contenders.ts';
import { createPeerTable, peerTable } from '../peers/peer-table.ts';
import { cpuSeconds, treeCpuSeconds } from '../process-cost.ts';
import type { BenchServers } from '../servers.ts';
import { sendEvenly } from './sender.ts';

/** Milliseconds from SQS send to commit, and what it takes of a core meanwhile. */
export interface LatencySample {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  readonly messages: number;
  /** Per cent of one core. */
  readonly connectorCpu: number;
  readonly writerCpu: number;
  readonly postgresCpu: number;
  /** From the time that a commit bears to the end of its flush, on average: the rows are visible so much later. */
  readonly flushMs: number;
}

/** What moves messages from the queue to the table. */
export interface Mover {
  readonly name: string;
  readonly table: string;
  start(pipeline: Pipeline): Promise<{ connector: ServiceProcess; writer: ServiceProcess }>;
}

/** As it comes: every setting at its default. */
export function sluice(name: string, env: Readonly<Record<string, string>> = {}): Mover {
  return {
    name,
    table: 'user_logins',
    start: async (pipeline) => ({
      connector: await pipeline.start('connector', env),
      writer: await pipeline.start('writer', env),
    }),
  };
}

export function peerMover(name: string, pair: { connector: Peer; writer: Peer }): Mover {
  return {
    name,
    table: peerTable,
    start: async (pipeline) => ({
      connector: await startPeer(pair.connector, pipeline),
      writer: await startPeer(pair.writer, pipeline),
    }),
  };
}

/** First connections, first keys, compilers: two thousand messages at least, for a service has been up for long. */
const warmUpSeconds = 4;
const warmUpPerSecond = 500;

/** One run on a pipeline of its own. Every message must become a row. */
export async function measureLatency(
  servers: BenchServers,
  mover: Mover,
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<LatencySample> {
  await using pipeline = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  await createPeerTable(pipeline.admin);
  const { connector, writer } = await mover.start(pipeline);
  const warm = await sendEvenly(pipeline.queue, {
    perSecond: Math.max(warmUpPerSecond, perSecond),
    seconds: warmUpSeconds,
  });
  await arrived(pipeline.admin, mover.table, warm.size);
  await sleep(500);
  const pids = { connector: connector.pid, writer: writer.pid };
  const before = costs(pids, servers);
  const flushBefore = await flushes(pipeline.admin);
  const startedAt = performance.now();
  const sentAt = await sendEvenly(pipeline.queue, { perSecond, seconds });
  const passed = (performance.now() - startedAt) / 1_000;
  const after = costs(pids, servers);
  await arrived(pipeline.admin, mover.table, warm.size + sentAt.size);
  const flushAfter = await flushes(pipeline.admin);
  const { rows } = await pipeline.admin.execute<{ id: string; at_ms: number }>(sql`
    select event_id::text as id, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as at_ms
    from ${sql.identifier(mover.table)}`);
  const latencies = rows
    .flatMap(({ id, at_ms: atMs }) => {
      const at = sentAt.get(id);
      return at === undefined ? [] : [atMs - at];
    })
    .toSorted((a, b) => a - b);
  if (latencies.length !== sentAt.size)
    throw new Error(`${sentAt.size - latencies.length} messages are no rows`);
  const quantile = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))];
  const share = (name: keyof typeof before) => ((after[name] - before[name]) / passed) * 100;
  await Promise.all([connector.kill('SIGTERM'), writer.kill('SIGTERM')]);
  return {
    p50: quantile(0.5) ?? Number.NaN,
    p90: quantile(0.9) ?? Number.NaN,
    p99: quantile(0.99) ?? Number.NaN,
    max: latencies.at(-1) ?? Number.NaN,
    messages: latencies.length,
    connectorCpu: share('connector'),
    writerCpu: share('writer'),
    postgresCpu: share('postgres'),
    flushMs: (flushAfter.ms - flushBefore.ms) / (flushAfter.count - flushBefore.count),
  };
}

function costs(pids: { connector: number; writer: number }, servers: BenchServers) {
  return {
    connector: cpuSeconds(pids.connector),
    writer: cpuSeconds(pids.writer),
    postgres: treeCpuSeconds(servers.pids.postgres),
  };
}

async function arrived(session: Session, table: string, count: number): Promise<void> {
  await eventually(`${count} rows`, async () => {
    const { rows } = await session.execute<{ n: number }>(
      sql`select count(*)::integer as n from ${sql.identifier(table)}`,
    );
    return rows[0]?.n === count;
  });
}

async function flushes(session: Session): Promise<{ count: number; ms: number }> {
  const { rows } = await session.execute<{ count: number; ms: number }>(sql`
    select sum(fsyncs)::float8 as count, sum(fsync_time)::float8 as ms from pg_stat_io where object = 'wal'`);
  return rows[0] ?? { count: 0, ms: 0 };
}
