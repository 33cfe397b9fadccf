import { Readable } from 'node:stream';
import { pipeline as streamInto } from 'node:stream/promises';
import { sql } from 'drizzle-orm';
import { Client } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { topicOffsets } from '../../shared/kafka/offsets.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { createPipeline, eventually, type Servers } from '../helpers/pipeline.ts';
import { preloadQueue, preloadTopic } from '../helpers/preload.ts';
import { testKafkaClient } from '../helpers/topics.ts';
import { cpuSeconds, treeCpuSeconds } from './process-cost.ts';

/** One measurement. */
export interface Sample {
  /** Rows or messages a second, without the start of the process. */
  readonly perSecond: number;
  /** CPU of the process (or, for COPY, the client), microseconds a row or message. */
  readonly cpuMicros: number;
  /** CPU of all Postgres processes, microseconds a row. */
  readonly postgresMicros?: number;
  /** Peak resident memory of the process, MiB. */
  readonly peakMiB?: number;
}

export interface BenchServers extends Servers {
  /** Process id of the Postgres server. */
  readonly postgresPid: number;
}

/** Copies columns only, in one order, so that what was read from one table goes into another. */
const columns = `create_date, event_id, sent_at, user_id, device_type, masked_ip, masked_device_id, locale, app_version,
  app_version_text, ip_sealed, device_id_sealed, dek_id`;

/** The writer on a preloaded topic of eight partitions, then raw COPY of the rows it wrote into a table of the same make. */
export async function measureWriter(
  servers: BenchServers,
  rows: number,
): Promise<{ writer: Sample; copy: Sample }> {
  await using pipeline = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  await preloadTopic(pipeline, rows);
  const process = await pipeline.start('writer');
  const progress = async () => {
    const { rows: found } = await pipeline.admin.execute<{ read: number }>(
      sql`select coalesce(sum(read), 0)::integer as read from ledger`,
    );
    return found[0]?.read ?? 0;
  };
  let firstRead = 0;
  await eventually('first rows', async () => (firstRead = await progress()) > 0);
  const before = {
    at: performance.now(),
    cpu: cpuSeconds(process.pid),
    postgres: treeCpuSeconds(servers.postgresPid),
  };
  await eventually('all rows', async () => (await progress()) >= rows, 600_000);
  const seconds = (performance.now() - before.at) / 1_000;
  const measured = rows - firstRead;
  const writer = {
    perSecond: measured / seconds,
    cpuMicros: ((cpuSeconds(process.pid) - before.cpu) / measured) * 1e6,
    postgresMicros: ((treeCpuSeconds(servers.postgresPid) - before.postgres) / measured) * 1e6,
    peakMiB: (await process.peakMemory()) / 1_048_576,
  };
  await process.kill('SIGTERM');
  const { rows: stored } = await pipeline.admin.execute<{ n: number }>(
    sql`select count(*)::integer as n from user_logins`,
  );
  if (stored[0]?.n !== rows) throw new Error(`${stored[0]?.n} rows stored, not ${rows}`);
  return { writer, copy: await measureCopy(servers, pipeline.env['ADMIN_DATABASE_URL'] ?? '', rows) };
}

async function measureCopy(servers: BenchServers, sourceUrl: string, rows: number): Promise<Sample> {
  const chunks: Buffer[] = [];
  await withClient(sourceUrl, async (source) => {
    const out = source.query(copyTo(`copy (select ${columns} from user_logins) to stdout`));
    for await (const chunk of out) chunks.push(Buffer.from(chunk));
  });
  await using target = await createPipeline(servers, { partitions: 1 });
  return await withClient(target.env['ADMIN_DATABASE_URL'] ?? '', async (client) => {
    const before = {
      at: performance.now(),
      cpu: process.cpuUsage(),
      postgres: treeCpuSeconds(servers.postgresPid),
    };
    await streamInto(
      Readable.from(chunks),
      client.query(copyFrom(`copy user_logins (${columns}) from stdin`)),
    );
    const seconds = (performance.now() - before.at) / 1_000;
    const { user, system } = process.cpuUsage(before.cpu);
    return {
      perSecond: rows / seconds,
      cpuMicros: (user + system) / rows,
      postgresMicros: ((treeCpuSeconds(servers.postgresPid) - before.postgres) / rows) * 1e6,
    };
  });
}

/** The connector on a preloaded queue. The SQS stand-in shares the machine, so compare CPU a message rather than rates. */
export async function measureConnector(servers: BenchServers, messages: number): Promise<Sample> {
  await using pipeline = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  await preloadQueue(pipeline, messages);
  const kafka = testKafkaClient(servers.kafkaBrokers);
  const published = async () => {
    const offsets = await topicOffsets(kafka, pipeline.rawTopic);
    return Number([...offsets.values()].reduce((sum, { high }) => sum + high, 0n));
  };
  const process = await pipeline.start('connector');
  let first = 0;
  await eventually('first messages', async () => (first = await published()) > 0);
  const before = { at: performance.now(), cpu: cpuSeconds(process.pid) };
  // Not more often: each look is a connection of its own, on the cores that are measured.
  while ((await published()) < messages) await sleep(250);
  const seconds = (performance.now() - before.at) / 1_000;
  const measured = messages - first;
  return {
    perSecond: measured / seconds,
    cpuMicros: ((cpuSeconds(process.pid) - before.cpu) / measured) * 1e6,
    peakMiB: (await process.peakMemory()) / 1_048_576,
  };
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
