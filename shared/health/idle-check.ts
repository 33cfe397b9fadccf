import { sleep } from '../lifecycle.ts';
import type { Outage } from '../outage.ts';
import type { Health } from './health.ts';

/** A probe asks every ten seconds or so; work asks all the time. */
const quietMs = 5_000;
/** Work goes on within a second of the server's return, and so does readiness. */
const downMs = 1_000;

/**
 * Asks a dependency that nobody has told of for five seconds: **without it, a service that has nothing to do would call itself ready
 * while its servers are down**. Until `signal` aborts; never rejects.
 *
 * @param parts.outage tells the same dependency of `health`
 */
export async function checkWhenIdle(
  parts: {
    readonly health: Health;
    readonly dependency: string;
    readonly outage: Outage;
    /** Cheap, and given up after a while. */
    readonly check: () => Promise<unknown>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { health, dependency, outage, check } = parts;
  while (!signal.aborted) {
    await sleep(outage.down ? downMs : quietMs - health.toldAgoMs(dependency), signal);
    if (signal.aborted || (!outage.down && health.toldAgoMs(dependency) < quietMs)) continue;
    try {
      await check();
      outage.succeeded();
    } catch (error) {
      if (!signal.aborted) outage.failedBy(error);
    }
  }
}
