import { sleep } from '../../shared/lifecycle.ts';
import { seededRandom } from '../../services/demo/sample-logins.ts';
import { expectDelivered } from '../helpers/invariants.ts';
import { startLoad } from '../helpers/load.ts';
import { createPipeline, type Servers } from '../helpers/pipeline.ts';
import type { ServiceProcess } from '../helpers/service-process.ts';
import { settled } from '../helpers/settle.ts';

export interface KillReport {
  readonly rounds: number;
  readonly sent: number;
  readonly rows: number;
  readonly deadLetters: number;
}

/**
 * Kills connector or writer with SIGKILL at random moments under load, starting it again each time, then lets everything arrive.
 * Fails unless every message is one row or one dead letter and the ledger is whole.
 */
export async function killAtRandom(
  servers: Servers,
  options: {
    rounds: number;
    perSecond: number;
    seed: number;
    onRound?: (round: number, victim: string) => void;
  },
): Promise<KillReport> {
  const random = seededRandom(options.seed);
  await using pipeline = await createPipeline(servers, {
    // What a killed connector held comes back after this.
    queue: { visibilityTimeout: 5, redrive: { maxReceiveCount: 1_000 } },
  });
  const running: Record<'connector' | 'writer', ServiceProcess> = {
    connector: await pipeline.start('connector'),
    writer: await pipeline.start('writer'),
  };
  const load = startLoad(pipeline.queue, { perSecond: options.perSecond, seed: options.seed });
  for (let round = 1; round <= options.rounds; round++) {
    await sleep(500 + random() * 2_500);
    const victim = random() < 0.5 ? 'connector' : 'writer';
    options.onRound?.(round, victim);
    if (running[victim].ended !== undefined) throw new Error(`the ${victim} had ended by itself`);
    await running[victim].kill('SIGKILL');
    running[victim] = await pipeline.start(victim);
  }
  await sleep(1_000);
  await load.stop();
  await settled(pipeline);
  const outcome = await expectDelivered(pipeline, load.sent);
  return {
    rounds: options.rounds,
    sent: load.sent.size,
    rows: outcome.rows.size,
    deadLetters: outcome.dead.size,
  };
}
