import { contest, type Contender, type Samples } from '../contest.ts';
import type { BenchServers } from '../servers.ts';
import { measureInto, type Sample } from '../sink.ts';
import { WriterBench } from '../writer-bench.ts';
import { peerWriters, startPeer, type Peer } from './contenders.ts';
import { preloadEnvelopes, threeParts } from './envelopes.ts';
import { names } from './names.ts';
import { createPeerTable, openPeerSample, peerTable } from './peer-table.ts';

const partitions = 8;
/** Rows that are opened after each run. */
const lookedAt = 200;

/** Kafka → sealed rows in Postgres: all of them from a full topic, each as a group of its own, into an empty table. */
export async function contestOfWriters(
  servers: BenchServers,
  { rows, rounds }: { rows: number; rounds: number },
): Promise<Samples> {
  await using bench = await WriterBench.open(servers, { rows, partitions, change: threeParts });
  const { pipeline } = bench;
  await createPeerTable(pipeline.admin);
  const envelopes = await preloadEnvelopes(pipeline, rows, partitions);
  const measurePeer = async (peer: Peer): Promise<Sample> => {
    const sample = await measureInto(await bench.emptied(peerTable, peerTable), {
      rows,
      postgresPid: servers.pids.postgres,
      start: () => startPeer(peer, pipeline, { RAW_TOPIC: envelopes }),
    });
    await openPeerSample(pipeline.admin, lookedAt);
    return sample;
  };
  const contenders: Contender[] = [
    bench.contender(names.ours),
    bench.contender(names.oursTwice, {}, 2),
    { name: names.copy, measure: () => bench.measureCopy() },
    ...peerWriters.map((peer) => ({ name: peer.name, measure: () => measurePeer(peer) })),
    bench.contender(names.oursAgain),
  ];
  return await contest(contenders, rounds);
}
