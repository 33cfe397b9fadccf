import type { TestProject } from 'vitest/node';
import { startFaultCluster, type FaultCluster } from '../helpers/fault-servers.ts';
import { faultClusters } from './clusters.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Servers that the faults may kill; one worker at a time. */
    faultClusters: readonly FaultCluster[];
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started: Awaited<ReturnType<typeof startFaultCluster>>[] = [];
  const stop = async () => {
    await Promise.all(started.map((each) => each.stop()));
  };
  try {
    // One after the other: each looks for ports that nobody has yet.
    while (started.length < faultClusters) started.push(await startFaultCluster());
  } catch (error) {
    await stop();
    throw error;
  }
  project.provide(
    'faultClusters',
    started.map(({ cluster }) => cluster),
  );
  return stop;
}
