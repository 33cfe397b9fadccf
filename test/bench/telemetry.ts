import { createServer } from 'node:http';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sql } from 'drizzle-orm';
import { startServers, stopServers } from '../../services/local-stack/servers.ts';
import { brokerList } from '../../services/local-stack/kafka.ts';
import { adminUrl } from '../../services/local-stack/postgres.ts';
import { sqsEndpoint } from '../../services/local-stack/sqs.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { topicOffsets } from '../../shared/kafka/offsets.ts';
import { createPipeline, eventually, type Pipeline, type Servers } from '../helpers/pipeline.ts';
import { preloadQueue, preloadTopic } from '../helpers/preload.ts';
import type { ServiceProcess } from '../helpers/service-process.ts';
import { randomName, testKafkaClient } from '../helpers/topics.ts';
import { cpuSeconds } from './process-cost.ts';
import { median, medianInterval, spread } from './spread.ts';

/**
 * `npm run bench:telemetry`: writer and connector with telemetry off and on. On is: spans by OTLP over HTTP, metrics pushed and scraped, one
 * message in a thousand with a trace of its own. Off is what nothing configured is.
 *
 * **CPU a row is what to look at**: rates depend on who else is at work. Samples come in pairs, one after the other, whose order changes
 * from pair to pair, on the same topic; each is a process of its own, measured once it is warm, and what is told is the median of the
 * differences within pairs with the interval that holds it 19 times in 20. `--aa` compares off with off: what is then found is what the
 * method finds where there is nothing.
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '400000' },
    messages: { type: 'string', default: '20000' },
    pairs: { type: 'string', default: '8' },
    only: { type: 'string' },
    aa: { type: 'boolean', default: false },
  },
});
const rows = Number(values.rows);
const messages = Number(values.messages);
const pairs = Number(values.pairs);
/** One record in so many has a trace. */
const sampledEvery = 1_000;
/** What a process does before it is measured: until then it compiles itself. */
const warmShare = 0.25;

interface Sample {
  readonly perSecond: number;
  readonly cpuMicros: number;
}
type Modes = Record<'off' | 'on', Sample[]>;

const samples: Record<'writer' | 'connector', Modes> = {
  writer: { off: [], on: [] },
  connector: { off: [], on: [] },
};

/** Takes what is sent and throws it away: the collector's own work is not ours to measure. */
const sink = createServer((request, response) => {
  request
    .resume()
    .on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end());
});
await new Promise<void>((resolve) => sink.listen(0, '127.0.0.1', resolve));
const address = sink.address();
const on = {
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
  METRICS_PORT: '0',
  TRACE_SAMPLE_RATE: String(1 / sampledEvery),
};

const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
try {
  const { ports, passwords } = await startServers({
    directory,
    usualPorts: false,
    durable: true,
    progress: (line) => console.error(line),
  });
  const servers: Servers = {
    postgresAdminUrl: adminUrl(ports.postgres, passwords.postgres, 'postgres'),
    kafkaBrokers: brokerList(ports),
    sqsEndpoint: sqsEndpoint(ports.sqs),
  };
  await using pipeline = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  if (values.only !== 'connector') {
    await preloadTopic(pipeline, rows, { tracedEvery: sampledEvery });
    // What the servers need to be warm, too.
    await measureWriter(pipeline, {});
    await inPairs(samples.writer, (env) => measureWriter(pipeline, env));
  }
  if (values.only !== 'writer') {
    await inPairs(samples.connector, (env) => measureConnector(servers, env));
  }
} finally {
  await stopServers(directory, () => {});
  await rm(directory, { recursive: true, force: true });
  sink.close();
}

const compared = values.aa ? 'off and off' : 'off and on';
console.log(
  `\n${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; ${compared}, ${pairs} pairs\n`,
);
console.table({
  ...(values.only === 'connector' ? {} : { [`writer, ${rows} rows`]: lineOf(samples.writer) }),
  ...(values.only === 'writer' ? {} : { [`connector, ${messages} messages`]: lineOf(samples.connector) }),
});
const resultDirectory = fileURLToPath(new URL('../../.sluice/bench', import.meta.url));
mkdirSync(resultDirectory, { recursive: true });
const file = join(resultDirectory, `telemetry-${new Date().toISOString().replaceAll(':', '-')}.json`);
writeFileSync(
  file,
  `${JSON.stringify({ rows, messages, pairs, aa: values.aa, sampledEvery, samples }, undefined, 2)}\n`,
);
console.log(`every sample: ${file}`);

async function inPairs(
  into: Modes,
  sample: (env: Readonly<Record<string, string>>) => Promise<Sample>,
): Promise<void> {
  for (let pair = 0; pair < pairs; pair++) {
    for (const mode of pair % 2 === 0 ? (['off', 'on'] as const) : (['on', 'off'] as const)) {
      into[mode].push(await sample(mode === 'on' && !values.aa ? on : {}));
    }
    const micros = [into.off, into.on].map((all) => all.at(-1)?.cpuMicros.toFixed(2));
    console.error(`pair ${pair + 1} of ${pairs}: ${micros.join(' and ')} µs each`);
  }
}

/** Reads the topic from its beginning, as a group of its own, into empty tables. */
async function measureWriter(pipeline: Pipeline, env: Readonly<Record<string, string>>): Promise<Sample> {
  await pipeline.admin.execute(sql`truncate user_logins, ledger, data_keys`);
  await pipeline.admin.execute(sql`checkpoint`);
  const progress = async () => {
    const { rows: found } = await pipeline.admin.execute<{ read: number }>(
      sql`select coalesce(sum(read), 0)::integer as read from ledger`,
    );
    return found[0]?.read ?? 0;
  };
  const writer = await pipeline.start('writer', { ...env, WRITER_GROUP: randomName('bench') });
  return await measure(writer, rows, progress);
}

async function measureConnector(servers: Servers, env: Readonly<Record<string, string>>): Promise<Sample> {
  await using pipeline = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn', ...env } });
  await preloadQueue(pipeline, messages);
  const kafka = testKafkaClient(servers.kafkaBrokers);
  const progress = async () => {
    const offsets = await topicOffsets(kafka, pipeline.rawTopic);
    return Number([...offsets.values()].reduce((sum, { high }) => sum + high, 0n));
  };
  return await measure(await pipeline.start('connector'), messages, progress);
}

/** From when it is warm to the last. */
async function measure(
  started: ServiceProcess,
  all: number,
  progress: () => Promise<number>,
): Promise<Sample> {
  let first = 0;
  await eventually('it is warm', async () => (first = await progress()) > all * warmShare);
  const before = { at: performance.now(), cpu: cpuSeconds(started.pid) };
  while ((await progress()) < all) await sleep(100);
  const seconds = (performance.now() - before.at) / 1_000;
  const cpuMicros = ((cpuSeconds(started.pid) - before.cpu) / (all - first)) * 1e6;
  await started.kill('SIGTERM');
  return { perSecond: (all - first) / seconds, cpuMicros };
}

function lineOf({ off, on: watched }: Modes): Record<string, string> {
  const cpu = (list: readonly Sample[]) => list.map(({ cpuMicros }) => cpuMicros);
  const rate = (list: readonly Sample[]) => list.map(({ perSecond }) => perSecond);
  return {
    'CPU µs each, off': spread(cpu(off), 1),
    'CPU µs each, on': spread(cpu(watched), 1),
    'more CPU': change(cpu(off), cpu(watched)),
    'per second, off': spread(rate(off), 0),
    'per second, on': spread(rate(watched), 0),
    'more per second': change(rate(off), rate(watched)),
  };
}

/** `1.2 % (0.3 … 2.2)`: the median of the differences within pairs, and the interval that holds it. */
function change(off: readonly number[], watched: readonly number[]): string {
  const differences = watched.map((value, pair) => (value / (off[pair] ?? Number.NaN) - 1) * 100);
  const [low, high] = medianInterval(differences);
  return `${median(differences).toFixed(1)} % (${low.toFixed(1)} … ${high.toFixed(1)})`;
}
