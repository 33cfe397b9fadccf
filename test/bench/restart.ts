import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { sql } from 'drizzle-orm';
import { stopStack } from '../../services/local-stack/local-stack.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { createPipeline, eventually, type Pipeline } from '../helpers/pipeline.ts';
import { preloadTopic } from '../helpers/preload.ts';
import { randomName } from '../helpers/topics.ts';
import { describeMachine, machine, saveResult } from './results.ts';
import { openBenchServers, postgresSettings } from './servers.ts';
import { spread } from './spread.ts';

/**
 * `npm run bench:restart`: seconds until the partitions of a writer that was killed, or told to stop, move again at another; until a writer that is
 * started has its first row; and until `sluice stack up` is up on a new directory.
 */
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } });
const rounds = Number(values.rounds);
/** Enough that neither writer comes to the end of the topic while it is looked on. */
const backlog = 1_000_000;
const partitions = 8;
const lookMs = 50;
const run = promisify(execFile);
const sluice = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url));

const on = machine();
const samples: Record<'kill' | 'stop' | 'start' | 'stack', number[]> = {
  kill: [],
  stop: [],
  start: [],
  stack: [],
};
for (let round = 0; round < rounds; round += 1) samples.stack.push(await stackUp());
{
  await using servers = await openBenchServers();
  await using pipeline = await createPipeline(servers, { partitions, env: { LOG_LEVEL: 'warn' } });
  await preloadTopic(pipeline, backlog);
  for (let round = 0; round < rounds; round += 1) {
    samples.start.push(await firstRow(pipeline));
    samples.kill.push(await takenOver(pipeline, 'SIGKILL'));
    samples.stop.push(await takenOver(pipeline, 'SIGTERM'));
    console.error(`round ${round + 1} of ${rounds} done`);
  }
}
const goals = { kill: 10, stop: 1, start: 1, stack: 8 };
const titles = {
  kill: 'kill -9 of one of two writers → all its partitions move',
  stop: 'SIGTERM of one of two writers → all its partitions move',
  start: 'start of a writer → its first rows',
  stack: 'sluice stack up, new directory',
};
console.log(`\n${describeMachine(on)}; seconds, medians of ${rounds} (lowest … highest)\n`);
console.table(
  Object.fromEntries(
    (['kill', 'stop', 'start', 'stack'] as const).map((name) => [
      titles[name],
      { seconds: spread(samples[name], 2), goal: goals[name] },
    ]),
  ),
);
saveResult('restart', { machine: on, rounds, settings: postgresSettings, goals, titles, samples });

async function stackUp(): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-'));
  try {
    const startedAt = performance.now();
    await run(process.execPath, [sluice, 'stack', 'up', '--directory', directory]);
    return (performance.now() - startedAt) / 1_000;
  } finally {
    await stopStack(directory);
    await rm(directory, { recursive: true, force: true });
  }
}

/** A group of its own reads from the beginning. */
async function firstRow(pipeline: Pipeline): Promise<number> {
  await pipeline.admin.execute(sql`truncate user_logins, ledger`);
  const startedAt = performance.now();
  const writer = await pipeline.start('writer', { WRITER_GROUP: randomName('start') });
  await eventually('rows', async () => (await covered(pipeline)).size > 0);
  const seconds = (performance.now() - startedAt) / 1_000;
  await writer.kill('SIGTERM');
  return seconds;
}

/** From the signal until every partition has gone on from where the other writer had left it. */
async function takenOver(pipeline: Pipeline, signal: 'SIGKILL' | 'SIGTERM'): Promise<number> {
  await pipeline.admin.execute(sql`truncate user_logins, ledger`);
  const env = { WRITER_GROUP: randomName('takeover'), WRITER_BATCH_RECORDS: '200' };
  const [stays, goes] = [await pipeline.start('writer', env), await pipeline.start('writer', env)];
  await eventually('both at work', async () => (await writersOf(pipeline)) === 2);
  await sleep(1_000);
  const from = performance.now();
  goes.kill(signal).catch(() => undefined);
  await sleep(lookMs);
  const left = await covered(pipeline);
  for (;;) {
    const now = await covered(pipeline);
    if ([...now].filter(([partition, last]) => last > (left.get(partition) ?? -1)).length === partitions)
      break;
    if (stays.ended !== undefined) throw new Error('the other writer ended');
    await sleep(lookMs);
  }
  const seconds = (performance.now() - from) / 1_000;
  await stays.kill('SIGTERM');
  return seconds;
}

/** How far each partition is in the ledger. */
async function covered(pipeline: Pipeline): Promise<Map<number, number>> {
  const { rows } = await pipeline.admin.execute<{ partition: number; last: string }>(
    sql`select partition, max(last_offset)::text as last from ledger group by partition`,
  );
  return new Map(rows.map(({ partition, last }) => [partition, Number(last)]));
}

async function writersOf(pipeline: Pipeline): Promise<number> {
  const { rows } = await pipeline.admin.execute<{ n: number }>(
    sql`select count(distinct written_by)::integer as n from ledger`,
  );
  return rows[0]?.n ?? 0;
}
