import { measureConnector, measureQueueToTopic } from '../connector-bench.ts';
import { contest, type Contender, type Samples } from '../contest.ts';
import { measureQueueAlone } from '../queue-alone.ts';
import type { BenchServers } from '../servers.ts';
import { peerConnectors, startPeer } from './contenders.ts';
import { readEveryEnvelope } from './envelopes.ts';
import { names } from './names.ts';

const coldMessages = 30_000;

/** SQS → Kafka: all of them on a full queue of their own. */
export async function contestOfConnectors(
  servers: BenchServers,
  { messages, rounds }: { messages: number; rounds: number },
): Promise<Samples> {
  const measureOurs = () => measureConnector(servers, messages);
  // The first start after a change takes the types out of the source again, for 40 MiB; the next ones find it done.
  await measureConnector(servers, coldMessages);
  const contenders: Contender[] = [
    { name: names.ours, measure: measureOurs },
    ...peerConnectors.map((peer) => ({
      name: peer.name,
      measure: () =>
        measureQueueToTopic(servers, messages, (pipeline) => startPeer(peer, pipeline), readEveryEnvelope),
    })),
    { name: names.oursAgain, measure: measureOurs },
    { name: names.queueAlone, measure: () => measureQueueAlone(servers, messages) },
  ];
  return await contest(contenders, rounds);
}
