import { parseArgs } from 'node:util';
import { measureConnector } from './connector-bench.ts';
import { contest, rateOf, tableOf, type Samples } from './contest.ts';
import { describeMachine, machine, saveResult } from './results.ts';
import { measureSealing, type SealingSample } from './sealing.ts';
import { openBenchServers, postgresSettings } from './servers.ts';
import { spread } from './spread.ts';
import { WriterBench } from './writer-bench.ts';

/**
 * `npm run bench`: what sealing costs the writer; the writer on a full topic, raw COPY of the same rows into the same table, and the connector, in
 * turns, in one run, on servers of its own with fsync on. Prints medians and spread, and writes every sample as JSON. `--only sealing` needs no
 * servers.
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '400000' },
    messages: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
  },
});
const rows = Number(values.rows);
const messages = Number(values.messages);
const rounds = Number(values.rounds);
/** Of a few seconds each. */
const sealingRounds = 7;

const on = machine();
const sealing = values.only === 'servers' ? [] : await measureSealing(sealingRounds);
const samples = values.only === 'sealing' ? {} : await measureServices();
console.log(`\n${describeMachine(on)}`);
if (sealing.length > 0) printSealing(sealing);
if (values.only !== 'sealing') printServices(samples);
saveResult('bench', { machine: on, rows, messages, rounds, settings: postgresSettings, samples, sealing });

async function measureServices(): Promise<Samples> {
  await using servers = await openBenchServers();
  await using bench = await WriterBench.open(servers, { rows });
  return await contest(
    [
      bench.contender('writer, Kafka → sealed rows'),
      { name: 'COPY of the same rows', measure: () => bench.measureCopy() },
      { name: 'connector, SQS → Kafka', measure: () => measureConnector(servers, messages) },
    ],
    rounds,
  );
}

function printServices(samples: Samples): void {
  console.log(
    `${rows} rows, ${messages} messages, 8 partitions, fsync on; median of ${rounds} (lowest … highest)\n`,
  );
  console.table(tableOf(samples));
  const [writer, copy] = Object.values(samples);
  console.log(`writer / COPY: ${(rateOf(writer) / rateOf(copy)).toFixed(2)}`);
}

function printSealing(list: readonly SealingSample[]): void {
  const of = (pick: (sample: SealingSample) => number): string => spread(list.map(pick), 1);
  console.log(
    `\nsealing, CPU µs a record at the writer; median of ${list.length} (lowest … highest), goal: 10 for the first\n`,
  );
  console.table({
    'transit opened and two fields sealed': of(({ withoutTokens, bare }) => withoutTokens - bare),
    'two tokens': of(({ all, withoutTokens }) => all - withoutTokens),
    'two tokens more, in a window between epochs': of(({ allInWindow, all }) => allInWindow - all),
    'the rest of encoding: parsing, validation': of(({ bare }) => bare),
  });
}
