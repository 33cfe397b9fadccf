import { parseArgs } from 'node:util';
import { bestOf, rateOf, roundsOf, tableOf, totalCpuOf, type Samples } from '../contest.ts';
import { describeMachine, lastSamples, machine, saveResult } from '../results.ts';
import { openBenchServers, postgresSettings } from '../servers.ts';
import { bento, builtPeer, redpandaConnect } from './build.ts';
import { contestOfConnectors } from './connectors.ts';
import { peerConnectors, peerWriters } from './contenders.ts';
import { names } from './names.ts';
import { contestOfWriters } from './writers.ts';

/**
 * `npm run bench:peers`: Sluice against Bento and Redpanda Connect, Kafka → sealed rows and SQS → Kafka, in turns on the same servers, with the best
 * settings that were found for each. Builds the peers with Go at first. Every row and message is counted, samples are opened; Sluice runs twice in
 * each round, and what these two differ by is what the figures are worth. `--add` counts the rounds of the last run in, so that a long measurement can
 * be made in pieces.
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    messages: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    add: { type: 'boolean', default: false },
  },
});
const rows = Number(values.rows);
const messages = Number(values.messages);
const rounds = Number(values.rounds);

for (const program of [bento, redpandaConnect]) await builtPeer(program);
const on = machine();
await using servers = await openBenchServers();
const settings = { postgres: postgresSettings, peers: [...peerWriters, ...peerConnectors] };
if (values.only !== 'connector') {
  const samples = added('peers-writer', await contestOfWriters(servers, { rows, rounds }));
  report(`Kafka → sealed rows, ${rows} rows, 8 partitions`, samples);
  const copied = rateOf(samples[names.ours]) / rateOf(samples[names.copy]);
  console.log(`of COPY's rows a second: ${copied.toFixed(2)}`);
  saveResult('peers-writer', { machine: on, rows, rounds: roundsOf(samples), settings, samples });
}
if (values.only !== 'writer') {
  const samples = added('peers-connector', await contestOfConnectors(servers, { messages, rounds }));
  report(`SQS → Kafka, ${messages} messages, 8 partitions`, samples);
  saveResult('peers-connector', { machine: on, messages, rounds: roundsOf(samples), settings, samples });
}

function added(name: string, samples: Samples): Samples {
  if (!values.add) return samples;
  const last = lastSamples(name);
  return Object.fromEntries(
    Object.entries(samples).map(([contender, list]) => [contender, (last[contender] ?? []).concat(list)]),
  );
}

function report(title: string, samples: Samples): void {
  console.log(`\n${title}; medians of ${roundsOf(samples)} (lowest … highest)\n${describeMachine(on)}\n`);
  console.table(tableOf(samples));
  const peers = Object.keys(samples).filter((name) => !Object.values<string>(names).includes(name));
  const fastest = bestOf(samples, peers, rateOf, 'highest');
  const cheapest = bestOf(samples, peers, totalCpuOf, 'lowest');
  const rate = rateOf(samples[names.ours]) / rateOf(samples[fastest]);
  const cpu = totalCpuOf(samples[names.ours]) / totalCpuOf(samples[cheapest]);
  console.log(`A/A: ${(rateOf(samples[names.oursAgain]) / rateOf(samples[names.ours])).toFixed(2)}`);
  console.log(`rate: ${rate.toFixed(2)} of the fastest peer's (${fastest})`);
  const twice = samples[names.oursTwice];
  if (twice !== undefined) {
    const [both, each] = [rateOf(twice) / rateOf(samples[fastest]), totalCpuOf(twice)];
    console.log(`rate of two writers: ${both.toFixed(2)}, at ${each.toFixed(1)} µs of CPU a row`);
  }
  console.log(`CPU of process and Postgres: ${cpu.toFixed(2)} of the cheapest peer's (${cheapest})`);
}
