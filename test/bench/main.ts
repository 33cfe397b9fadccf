import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brokerList } from '../../services/local-stack/kafka.ts';
import { startStack, stackStatus, stopStack } from '../../services/local-stack/local-stack.ts';
import { adminUrl } from '../../services/local-stack/postgres.ts';
import { sqsEndpoint } from '../../services/local-stack/sqs.ts';
import { measureConnector, measureWriter, type BenchServers, type Sample } from './measure.ts';

/**
 * `npm run bench`: the writer on preloaded topics, raw COPY of the same rows into the same table, and the connector, in turns, in
 * one run, on a stack of its own with fsync on. Prints medians and spread, and writes every sample as JSON.
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '200000' },
    messages: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
  },
});
const rows = Number(values.rows);
const messages = Number(values.messages);
const rounds = Number(values.rounds);

const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
const samples: Record<'writer' | 'copy' | 'connector', Sample[]> = { writer: [], copy: [], connector: [] };
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  load: loadavg()[0],
  rows,
  messages,
  rounds,
};
try {
  const state = await startStack({
    directory,
    usualPorts: false,
    brokers: 1,
    progress: (line) => console.error(line),
  });
  const postgres = (await stackStatus(directory)).find(({ server }) => server === 'postgres');
  const servers: BenchServers = {
    postgresAdminUrl: adminUrl(state.ports.postgres, state.passwords.postgres, 'postgres'),
    kafkaBrokers: brokerList(state.ports),
    sqsEndpoint: sqsEndpoint(state.ports.sqs),
    postgresPid: postgres?.pid ?? 0,
  };
  console.error(JSON.stringify(machine));
  for (let round = 1; round <= rounds; round++) {
    const { writer, copy } = await measureWriter(servers, rows);
    samples.writer.push(writer);
    samples.copy.push(copy);
    samples.connector.push(await measureConnector(servers, messages));
    console.error(`round ${round} of ${rounds} done`);
  }
} finally {
  await stopStack(directory);
  await rm(directory, { recursive: true, force: true });
}

console.log(`\n${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, Node ${machine.node}, fsync on`);
console.log(`${rows} rows, ${messages} messages, 8 partitions; median of ${rounds} (lowest … highest)\n`);
console.table({
  'writer, Kafka → sealed rows': line(samples.writer),
  'raw COPY of the same rows': line(samples.copy),
  'connector, SQS → Kafka': line(samples.connector),
});
const ratio = median(samples.writer.map((s) => s.perSecond)) / median(samples.copy.map((s) => s.perSecond));
console.log(`writer / COPY: ${ratio.toFixed(2)}`);
const resultDirectory = fileURLToPath(new URL('../../.sluice/bench', import.meta.url));
mkdirSync(resultDirectory, { recursive: true });
const file = join(resultDirectory, `${new Date().toISOString().replaceAll(':', '-')}.json`);
writeFileSync(file, `${JSON.stringify({ machine, samples }, undefined, 2)}\n`);
console.log(`every sample: ${file}`);

function line(list: readonly Sample[]): Record<string, string> {
  const of = (pick: (sample: Sample) => number | undefined, digits: number): string => {
    const numbers = list.map(pick).filter((n) => n !== undefined);
    if (numbers.length === 0) return '–';
    const show = (n: number) => n.toLocaleString('en-US', { maximumFractionDigits: digits });
    return `${show(median(numbers))} (${show(Math.min(...numbers))} … ${show(Math.max(...numbers))})`;
  };
  return {
    'per second': of((s) => s.perSecond, 0),
    'client CPU µs each': of((s) => s.cpuMicros, 1),
    'Postgres CPU µs each': of((s) => s.postgresMicros, 1),
    'peak MiB': of((s) => s.peakMiB, 0),
  };
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] =
    sorted.length % 2 === 0 ? [sorted[middle - 1], sorted[middle]] : [sorted[middle], sorted[middle]];
  return (low + high) / 2;
}
