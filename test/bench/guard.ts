import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { calibrate } from './calibration.ts';
import { measureConnector } from './connector-bench.ts';
import { describeMachine, machine, saveResult } from './results.ts';
import { measureSealing } from './sealing.ts';
import { openBenchServers, postgresSettings } from './servers.ts';
import { median } from './spread.ts';
import { WriterBench } from './writer-bench.ts';

/**
 * `npm run bench:guard`, for pull requests: CPU a row and message against test/bench/baseline.json, in rounds of a calibration that is measured before
 * and after each sample, so that neither a slower machine nor a neighbour is a regression. Exit code 1 when a cost is beyond its tolerance.
 * `--update` stores what was measured as the baseline; `--only encode` needs no servers and takes half a minute.
 */
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '200000' },
    messages: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    update: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const baselineFile = fileURLToPath(new URL('baseline.json', import.meta.url));

const costs = ['encode', 'writer', 'postgres', 'connector'] as const;
type Cost = (typeof costs)[number];
const Baseline = z.object({
  /** Costs in rounds of the calibration. */
  costs: z.partialRecord(z.enum(costs), z.number().positive()),
  /** A cost this much larger is a regression: beyond what two runs of the same code differ by. */
  tolerance: z.record(z.enum(costs), z.number().positive()),
});

const on = machine();
const samples: Record<Cost, number[]> = { encode: [], writer: [], postgres: [], connector: [] };
for (let round = 0; round < rounds; round += 1) {
  const { result: sealing, unit } = await calibrated(() => measureSealing(1));
  samples.encode.push(...sealing.map(({ all }) => all / unit));
}
if (values.only !== 'encode') {
  await using servers = await openBenchServers();
  await using bench = await WriterBench.open(servers, { rows: Number(values.rows) });
  for (let round = 0; round < rounds; round += 1) {
    const written = await calibrated(() => bench.measure());
    samples.writer.push(written.result.cpuMicros / written.unit);
    samples.postgres.push((written.result.postgresMicros ?? Number.NaN) / written.unit);
    const moved = await calibrated(() => measureConnector(servers, Number(values.messages)));
    samples.connector.push(moved.result.cpuMicros / moved.unit);
  }
}

const baseline = Baseline.parse(JSON.parse(readFileSync(baselineFile, 'utf8')));
const measured = costs.filter((cost) => samples[cost].length > 0);
const lines = measured.map((cost) => {
  const now = median(samples[cost]);
  const before = baseline.costs[cost];
  const limit = before === undefined ? undefined : before * (1 + baseline.tolerance[cost]);
  return { cost, now, before, limit, worse: limit !== undefined && now > limit };
});
console.log(`\n${describeMachine(on)}; CPU in rounds of the calibration, medians of ${rounds}\n`);
console.table(
  Object.fromEntries(
    lines.map(({ cost, now, before, limit, worse }) => [
      cost,
      {
        now: now.toFixed(2),
        baseline: before?.toFixed(2) ?? '–',
        limit: limit?.toFixed(2) ?? '–',
        verdict: worse ? 'WORSE' : 'good',
      },
    ]),
  ),
);
saveResult('guard', { machine: on, rounds, settings: postgresSettings, samples });
if (values.update) {
  const now = Object.fromEntries(lines.map(({ cost, now }) => [cost, Number(now.toFixed(3))]));
  const updated = { ...baseline, costs: { ...baseline.costs, ...now } };
  writeFileSync(baselineFile, `${JSON.stringify(updated, undefined, 2)}\n`);
} else if (lines.some(({ worse }) => worse)) {
  console.error(
    'A cost has grown beyond its tolerance. If it pays for something, say so and run "npm run bench:guard -- --update".',
  );
  process.exitCode = 1;
}

async function calibrated<T>(work: () => Promise<T>): Promise<{ result: T; unit: number }> {
  const before = calibrate();
  const result = await work();
  return { result, unit: (before + calibrate()) / 2 };
}
