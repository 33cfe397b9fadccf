import { runFault, type Fault, type FaultContext, type FaultReport } from '../faults/fault.ts';
import { sleep } from '../../shared/lifecycle.ts';
import type { FaultServers } from '../helpers/fault-servers.ts';
import { messagesIn } from '../helpers/queues.ts';

export interface OutageFigures {
  readonly report: FaultReport;
  /** MiB, of the whole run. */
  readonly peakMiB: { readonly connector: number; readonly writer: number };
  /** The most that lay in the queue at any look while the server was down. */
  readonly mostQueued: number;
}

/** Postgres or all of Kafka away for `minutes`, under load. What is asked for: issue 5, "What it must show", 3. */
export async function longOutage(
  servers: FaultServers,
  options: { server: 'Postgres' | 'Kafka'; minutes: number; perSecond: number; seed: number },
): Promise<OutageFigures> {
  let mostQueued = 0;
  let peakMiB = { connector: Number.NaN, writer: Number.NaN };
  const fault: Fault = {
    name: `${options.server} down for ${options.minutes} minutes at ${options.perSecond} messages/s`,
    perSecond: options.perSecond,
    resumesWithin: options.perSecond * 30,
    // What piled up in the queue meanwhile comes as fast as the SQS server of the tests hands it out.
    settlesWithinMs: 180_000 + options.minutes * 240_000,
    async inject(context: FaultContext) {
      const { proxies } = context;
      const away = options.server === 'Postgres' ? [proxies.postgres] : proxies.kafka;
      for (const proxy of away) {
        await proxy.refuse();
        proxy.cut();
      }
      const until = Date.now() + options.minutes * 60_000;
      while (Date.now() < until) {
        await sleep(1_000);
        mostQueued = Math.max(mostQueued, await messagesIn(context.pipeline.queue));
      }
      for (const proxy of away) await proxy.heal();
    },
    async mayDie({ running }) {
      // Everything has arrived: what it took at most is known by now.
      const peak = async (role: 'connector' | 'writer') =>
        Math.max(...(await Promise.all(running[role].map((service) => service.peakMemory())))) / 1_048_576;
      peakMiB = { connector: await peak('connector'), writer: await peak('writer') };
      return new Set();
    },
  };
  const report = await runFault(servers, fault, { seed: options.seed, long: true });
  return { report, peakMiB, mostQueued };
}
