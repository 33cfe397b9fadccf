import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { addDays, dayOf, horizon, msPerDay } from '../../../shared/time.ts';
import { brokerNames } from '../../helpers/fault-servers.ts';
import { listIn } from '../../helpers/faulty-sqs.ts';
import { eventually } from '../../helpers/pipeline.ts';
import type { Fault, FaultContext } from '../fault.ts';

/**
 * A writer joins or leaves all the time; some leave without a word. Their queues are small and Postgres takes its time, so that a
 * rebalance finds batches that were fetched and have not been taken.
 */
export const rebalanceStorm: Fault = {
  name: 'rebalance storm',
  pipeline: { env: { WRITER_QUEUE_BYTES: '65536', WRITER_BATCH_RECORDS: '50' } },
  writers: 2,
  perSecond: 800,
  resumesWithin: 20_000,
  async inject(context) {
    await context.slowLedger(0.1);
    for (let round = 0; round < (context.long ? 30 : 4); round++) {
      await context.logs(/"msg":"assigned"/, () => context.start('writer'));
      await context.sends(200);
      await context.end('writer', round % 2 === 0 ? 'SIGTERM' : 'SIGKILL');
      await context.sends(200);
    }
    await context.slowLedger(0);
  },
};

/** Everything is killed, one after the other, and comes back in another order. */
export const everythingKilled: Fault = {
  name: 'kill -9 of services, Postgres and a broker, in any order',
  resumesWithin: 20_000,
  async inject(context) {
    const broker = brokerNames[context.between(0, 2)] ?? 'kafka-1';
    const victims = {
      connector: [() => context.end('connector', 'SIGKILL'), () => context.start('connector')],
      writer: [() => context.end('writer', 'SIGKILL'), () => context.start('writer')],
      maintenance: [() => killedMaintenance(context), () => context.pipeline.run('maintain')],
      postgres: [() => context.servers.kill('postgres'), () => context.servers.start('postgres')],
      broker: [() => context.servers.kill(broker), () => context.servers.start(broker)],
    } as const;
    for (let round = 0; round < (context.long ? 5 : 1); round++) {
      for (const [kill] of shuffled(Object.values(victims), context)) {
        await kill();
        await context.sends(100);
      }
      // Postgres before maintenance, which does not wait for it; the rest as it comes.
      const { postgres, maintenance, ...others } = victims;
      for (const [, start] of [...shuffled([postgres, ...Object.values(others)], context), maintenance]) {
        await start();
        await context.sends(100);
      }
      await context.flows();
    }
  },
};

async function killedMaintenance(context: FaultContext): Promise<void> {
  const maintenance = await context.pipeline.start('maintain');
  await context.sends(context.between(50, 400));
  await maintenance.kill('SIGKILL');
}

function shuffled<T>(list: readonly T[], { random }: FaultContext): T[] {
  return list
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** Services start first, find nobody, and go on when the servers come. */
export const startedFirst: Fault = {
  name: 'services started before any server',
  startsServices: true,
  async inject(context) {
    const proxies = [context.proxies.postgres, context.proxies.sqs, ...context.proxies.kafka];
    for (const proxy of proxies) await proxy.refuse();
    await context.logs(/"service":"connector"[^\n]*outage: waiting/, () => context.start('connector'));
    await context.logs(/"service":"writer"[^\n]*outage: waiting/, () => context.start('writer'));
    await context.sends(200);
    for (const proxy of shuffled(proxies, context)) {
      await context.sends(50);
      await proxy.heal();
    }
  },
};

/** Two at once, others killed on the way, while there is something to do: the last days of the horizon were taken away. */
export const maintenanceKilled: Fault = {
  name: 'maintenance killed, and two at once',
  async inject(context) {
    const { pipeline } = context;
    const lastDay = addDays(dayOf(Date.now()), horizon.daysAhead);
    const table = `user_logins_${lastDay.replaceAll('-', '')}`;
    for (let round = 0; round < (context.long ? 10 : 2); round++) {
      await pipeline.admin.execute(sql.raw(`drop table if exists ${table}`));
      await pipeline.admin.execute(sql`delete from day_keys where day = ${lastDay}`);
      const both = [await pipeline.start('maintain'), await pipeline.start('maintain')];
      await context.sends(context.between(50, 600));
      await both[0]?.kill('SIGKILL');
      await eventually('the other has ended', () => both[1]?.ended !== undefined);
      if (both[1]?.ended !== 0) throw new Error(`maintenance ended with ${both[1]?.ended}`);
    }
    const { code, stderr } = await pipeline.run('maintain');
    if (code !== 0) throw new Error(`maintenance ended with ${code}: ${stderr}`);
    const { rows } = await pipeline.admin.execute<{ tables: number; keys: number }>(sql`
      select (select count(*)::integer from pg_class where relname = ${table}) as tables,
             (select count(*)::integer from day_keys where day = ${lastDay}) as keys`);
    if (rows[0]?.tables !== 1 || rows[0].keys !== 1)
      throw new Error(`missing still: ${JSON.stringify(rows)}`);
  },
};

/** Messages of a day whose key nobody has loaded yet come when the vault has gone. */
export const vaultGone: Fault = {
  name: 'vault gone mid-day',
  async inject(context) {
    const { directory } = context.pipeline;
    await rename(join(directory, 'vault'), join(directory, 'vault.away'));
    const since = Date.now();
    const outage = context.logs(/"service":"connector"[^\n]*"what":"vault"[^\n]*outage: waiting/, () => {
      context.sqs.intercept = async (call) => {
        const answer = await call.forward();
        if (call.action !== 'ReceiveMessage') return answer;
        const Messages = listIn(answer.body, 'Messages').map((message) => yesterdays(message, since));
        return { ...answer, body: { ...answer.body, Messages } };
      };
    });
    await outage;
    await context.sends(context.long ? 4_000 : 400);
    await rename(join(directory, 'vault.away'), join(directory, 'vault'));
  },
};

/** What was sent after `since` was sent a day earlier: always the same for the same message, as with SQS. */
function yesterdays(
  message: Readonly<Record<string, unknown>>,
  since: number,
): Readonly<Record<string, unknown>> {
  const { Attributes } = message;
  if (typeof Attributes !== 'object' || Attributes === null || !('SentTimestamp' in Attributes))
    return message;
  const sentAt = Number(Attributes.SentTimestamp);
  if (sentAt < since) return message;
  return { ...message, Attributes: { ...Attributes, SentTimestamp: String(sentAt - msPerDay) } };
}

const shiftedClock = new URL('../../helpers/shifted-clock.ts', import.meta.url).href;

/** An hour ahead, an hour behind, and right again: of one service, then of the other. */
export const clockJumps: Fault = {
  name: 'clock jumps an hour each way',
  startsServices: true,
  async inject(context) {
    const clocks = { connector: '', writer: '' };
    for (const role of ['connector', 'writer'] as const) {
      const file = join(context.pipeline.directory, `${role}.clock`);
      clocks[role] = file;
      await writeFile(file, '0');
      await context.start(role, { NODE_OPTIONS: `--import=${shiftedClock}`, SLUICE_TEST_CLOCK: file });
    }
    await context.flows();
    const hour = 3_600_000;
    for (let round = 0; round < (context.long ? 10 : 1); round++) {
      for (const role of ['writer', 'connector'] as const) {
        for (const offset of [hour, -hour, 0]) {
          await writeFile(clocks[role], String(offset));
          await context.flows(150);
        }
      }
    }
  },
};
