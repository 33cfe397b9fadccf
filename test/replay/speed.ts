import { sql } from 'drizzle-orm';
import { createPipeline, eventually, type Pipeline, type Servers } from '../helpers/pipeline.ts';
import { preloadTopic } from '../helpers/preload.ts';
import { planned } from '../services/replayer/fixtures.ts';

/** Records a second of each, over the same records. */
export interface Round {
  readonly writer: number;
  readonly replay: number;
}

/** The writer on a preloaded topic, then a replay of it into the same table, emptied. */
export async function measureRound(servers: Servers, rows: number): Promise<Round> {
  await using pipeline = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  await preloadTopic(pipeline, rows);
  const writer = await pipeline.start('writer');
  const writerRate = await rateOf(pipeline, 'ledger', rows);
  await writer.kill('SIGTERM');
  await pipeline.admin.execute(sql`truncate user_logins`);
  await pipeline.admin.execute(sql`checkpoint`);
  const { file } = await planned(pipeline);
  const replay = await pipeline.start('replay', {}, ['run', '--plan', file]);
  const replayRate = await rateOf(pipeline, 'replay_ledger', rows);
  await eventually('the proof', () => replay.ended !== undefined);
  if (replay.ended !== 0) throw new Error('the replay failed');
  return { writer: writerRate, replay: replayRate };
}

/** From the first rows to the last, without the start of the process. */
async function rateOf(pipeline: Pipeline, ledger: string, rows: number): Promise<number> {
  const read = async () => {
    const { rows: found } = await pipeline.admin.execute<{ read: number }>(
      sql`select coalesce(sum(read), 0)::integer as read from ${sql.identifier(ledger)}`,
    );
    return found[0]?.read ?? 0;
  };
  let first = 0;
  await eventually('first rows', async () => (first = await read()) > 0);
  const began = performance.now();
  await eventually('all rows', async () => (await read()) >= rows, 600_000);
  return (rows - first) / ((performance.now() - began) / 1_000);
}
