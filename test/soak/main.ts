import { parseArgs } from 'node:util';
import { connectorMemory, writerMemory } from '../faults/backlog.ts';
import { killAtRandom } from '../faults/kill.ts';
import { startTestServers } from '../helpers/servers.ts';

/**
 * `npm run test:soak`: what `npm test` does in short, at length. Prints its seed; `--seed` repeats the order of kills.
 * Exit code 1 at the first promise that is not kept.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    repeat: { type: 'string', default: '3' },
    rate: { type: 'string', default: '800' },
    records: { type: 'string', default: '1000000' },
    messages: { type: 'string', default: '200000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
console.log(`seed ${values.seed}`);
const servers = await startTestServers();
try {
  for (let repeat = 0; repeat < Number(values.repeat); repeat++) {
    const report = await killAtRandom(servers, {
      rounds: Number(values.rounds),
      perSecond: Number(values.rate),
      seed: Number(values.seed) + repeat,
      onRound: (round, victim) => console.log(`round ${round}: kill -9 ${victim}`),
    });
    console.log('nothing lost, nothing twice, ledger whole:', report);
  }
  within(
    'writer',
    await writerMemory(servers, Number(values.records)),
    256,
    `${values.records} records waiting`,
  );
  within(
    'connector',
    await connectorMemory(servers, Number(values.messages)),
    200,
    `${values.messages} messages waiting`,
  );
} finally {
  await servers.stop();
}

function within(service: string, peakMiB: number, limitMiB: number, load: string): void {
  console.log(`${service}: peak ${peakMiB.toFixed(0)} MiB with ${load} (limit ${limitMiB})`);
  if (!(peakMiB < limitMiB)) throw new Error(`the ${service} used ${peakMiB.toFixed(0)} MiB`);
}
