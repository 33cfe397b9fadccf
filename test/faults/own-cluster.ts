import { inject } from 'vitest';
import { FaultServers } from '../helpers/fault-servers.ts';

/** The servers that this test may kill. A file has a worker, and a worker a number from 1 to the number of workers. */
export function ownFaultServers(): FaultServers {
  const cluster = inject('faultClusters')[Number(process.env['VITEST_POOL_ID']) - 1];
  if (cluster === undefined) throw new Error('more workers than servers to break');
  return new FaultServers(cluster);
}
