import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { connectorMemory, writerMemory } from '../faults/backlog.ts';
import { allFaults } from '../faults/catalogue/all.ts';
import { runFault, type FaultReport } from '../faults/fault.ts';
import { FaultServers, startFaultCluster } from '../helpers/fault-servers.ts';
import { longOutage } from './long-outage.ts';
import { schedule } from './schedule.ts';
import { withTable } from './table.ts';

/**
 * `npm run test:soak`: the faults of `npm test` at length and in random order for half an hour, then long outages and long backlogs.
 * Prints its seed; `--seed` repeats the order of the faults and what is random within them. `--fault NAME` runs only that one, `--write`
 * puts the table into docs/reliability.md. Exit code 1 when any promise was not kept.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    fault: { type: 'string', multiple: true },
    write: { type: 'boolean', default: false },
    outage: { type: 'string', multiple: true, default: ['Postgres', 'Kafka'] },
    'outage-minutes': { type: 'string', default: '5' },
    'outage-rate': { type: 'string', default: '2000' },
    records: { type: 'string', default: '1000000' },
    messages: { type: 'string', default: '200000' },
  },
});
const seed = Number(values.seed);
const minutes = Number(values.minutes);
const names = values.fault ?? (await possible());
const unknown = names.filter((name) => !allFaults.has(name));
if (unknown.length > 0) {
  console.error(`no such fault: ${unknown.join(', ')}. There are:\n${[...allFaults.keys()].join('\n')}`);
  process.exit(2);
}
console.log(`seed ${seed}`);

const rounds: { fault: string; report: FaultReport | undefined }[] = [];
const notes: string[] = [];
let broken = 0;
const { cluster, stop } = await startFaultCluster();
try {
  const servers = new FaultServers(cluster);
  const until = Date.now() + minutes * 60_000;
  const order = schedule(names, seed);
  while (Date.now() < until) {
    const round = order.next().value;
    const fault = allFaults.get(round.fault);
    if (fault === undefined) continue;
    const report = await attempt(() => runFault(servers, fault, { seed: round.seed, long: true }));
    rounds.push({ fault: round.fault, report });
    tell(round.fault, report);
  }
  const outageMinutes = Number(values['outage-minutes']);
  for (const server of ['Postgres', 'Kafka'] as const) {
    if (outageMinutes === 0 || !values.outage.includes(server)) continue;
    const figures = await attempt(() =>
      longOutage(servers, { server, minutes: outageMinutes, perSecond: Number(values['outage-rate']), seed }),
    );
    if (figures === undefined) continue;
    const { report, peakMiB, mostQueued } = figures;
    tell(report.fault, report);
    note(
      `${report.fault}: ${report.messages} messages, ${report.lost} lost, ${report.doubled} doubled; ` +
        `at most ${mostQueued} in the queue; connector at most ${peakMiB.connector.toFixed(0)} MiB, writer ${peakMiB.writer.toFixed(0)} MiB.`,
    );
    within('writer', peakMiB.writer, 256);
    within('connector', peakMiB.connector, 200);
  }
  const [records, messages] = [Number(values.records), Number(values.messages)];
  if (records > 0) {
    const peak = await writerMemory(servers.direct, records);
    note(`A backlog of ${records} records: writer at most ${peak.toFixed(0)} MiB.`);
    within('writer', peak, 256);
  }
  if (messages > 0) {
    const peak = await connectorMemory(servers.direct, messages);
    note(`${messages} messages waiting: connector at most ${peak.toFixed(0)} MiB.`);
    within('connector', peak, 200);
  }
} finally {
  await stop();
}

if (values.write) {
  const page = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url));
  const date = new Date().toISOString().slice(0, 10);
  await writeFile(page, withTable(await readFile(page, 'utf8'), { date, seed, minutes, rounds, notes }));
}
console.log(broken === 0 ? 'every promise was kept' : `${broken} promises were not kept, seed ${seed}`);
// What a round that failed has left open would keep us here.
process.exit(broken === 0 ? 0 : 1);

async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    broken += 1;
    console.error(error);
    return undefined;
  }
}

function tell(fault: string, report: FaultReport | undefined): void {
  if (report === undefined) return;
  const kept = report.failure === undefined ? 'kept' : 'NOT KEPT';
  console.log(
    `${fault}: ${report.messages} messages, ${report.lost} lost, ${report.doubled} doubled, ${kept}`,
  );
  if (report.failure === undefined) return;
  broken += 1;
  console.error(report.failure);
}

/** Those that can happen on this machine. Says which cannot, and why. */
async function possible(): Promise<string[]> {
  const found: string[] = [];
  for (const [name, { impossible }] of allFaults) {
    const why = await impossible?.();
    if (why === undefined) found.push(name);
    else console.log(`left out: ${name}, for ${why}`);
  }
  return found;
}

function note(sentence: string): void {
  console.log(sentence);
  notes.push(sentence);
}

function within(service: string, peakMiB: number, limitMiB: number): void {
  if (peakMiB < limitMiB) return;
  broken += 1;
  console.error(`the ${service} used ${peakMiB.toFixed(0)} MiB, more than ${limitMiB}`);
}
