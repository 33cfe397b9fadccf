import { parseArgs } from 'node:util';
import { bento, builtPeer, redpandaConnect } from '../peers/build.ts';
import { latencyPair } from '../peers/contenders.ts';
import { describeMachine, machine, saveResult } from '../results.ts';
import { openBenchServers, postgresSettings } from '../servers.ts';
import { median, spread } from '../spread.ts';
import { measureLatency, peerMover, sluice, type LatencySample, type Mover } from './measure.ts';

/**
 * `npm run bench:latency`: milliseconds from SQS send to the row's commit at even rates, ours with every setting at its default and the peers with
 * batches as small as pays, in turns on the same servers. `--only sluice` leaves the peers out; ours runs twice then.
 */
const { values } = parseArgs({
  options: {
    rates: { type: 'string', default: '10,500,1000' },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const rates = values.rates.split(',').map(Number);
const seconds = Number(values.seconds);
const rounds = Number(values.rounds);

const peers = (
  [
    [bento, 'Bento', [1, 5]],
    [redpandaConnect, 'Redpanda Connect', [1, 5]],
  ] as const
).flatMap(([program, name, periods]) =>
  periods.map((ms) => peerMover(`${name}, batches of ${ms} ms`, latencyPair(program, ms))),
);
const movers: Mover[] = [
  sluice('Sluice'),
  ...(values.only === 'sluice' ? [] : peers),
  ...(values.only === 'sluice' ? [sluice('Sluice, again (A/A)')] : []),
];
if (values.only !== 'sluice') for (const program of [bento, redpandaConnect]) await builtPeer(program);
const on = machine();
const samples: Record<string, Record<string, LatencySample[]>> = {};
{
  await using servers = await openBenchServers();
  for (let round = 0; round < rounds; round += 1) {
    for (const perSecond of rates) {
      for (const mover of round % 2 === 0 ? movers : movers.toReversed()) {
        const sample = await measureLatency(servers, mover, { perSecond, seconds });
        ((samples[perSecond] ??= {})[mover.name] ??= []).push(sample);
        console.error(
          `${perSecond}/s ${mover.name}: p50 ${sample.p50.toFixed(1)} ms, p99 ${sample.p99.toFixed(1)} ms`,
        );
      }
    }
  }
}
console.log(`\n${describeMachine(on)}; ${seconds} s each, medians of ${rounds} (lowest … highest)`);
for (const [perSecond, byMover] of Object.entries(samples)) {
  console.log(`\nSQS send → committed row, ${perSecond}/s`);
  console.table(Object.fromEntries(Object.entries(byMover).map(([name, list]) => [name, line(list)])));
}
const flush = median(
  Object.values(samples).flatMap((byMover) =>
    Object.values(byMover).flatMap((list) => list.map((s) => s.flushMs)),
  ),
);
console.log(`a row is visible ${flush.toFixed(1)} ms after the time of its commit, when that is flushed`);
saveResult('latency', { machine: on, rates, seconds, rounds, settings: postgresSettings, samples });

function line(list: readonly LatencySample[]): Record<string, string> {
  const of = (name: keyof LatencySample, digits = 1) =>
    spread(
      list.map((sample) => sample[name]),
      digits,
    );
  return {
    'p50 ms': of('p50'),
    'p90 ms': of('p90'),
    'p99 ms': of('p99'),
    'max ms': of('max', 0),
    'connector CPU %': of('connectorCpu'),
    'writer CPU %': of('writerCpu'),
    'Postgres CPU %': of('postgresCpu'),
  };
}
