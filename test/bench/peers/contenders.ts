import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomName } from '../../helpers/topics.ts';
import { startProcess, type ServiceProcess } from '../../helpers/service-process.ts';
import type { Pipeline } from '../../helpers/pipeline.ts';
import { bento, builtPeer, redpandaConnect, type PeerProgram } from './build.ts';

/** For measuring only: 32 ASCII bytes each, so that no peer pays for decoding a key with every record. */
export const fieldKey = '0123456789abcdef0123456789abcdef';
export const tokenKey = 'fedcba9876543210fedcba9876543210';

/** A peer in one configuration. */
export interface Peer {
  readonly name: string;
  readonly program: PeerProgram;
  /** File beside this one. */
  readonly config: string;
  /** As the environment of the program and its configuration. */
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * The best that were found on two cores, for rate: batches of 2,000 four at a time, and a garbage collector that lets the heap grow to five times
 * what lives (a third less CPU than as it comes).
 */
const byRate = { BATCH_RECORDS: '2000', BATCH_PERIOD: '200ms', GOGC: '400' };

export const peerWriters: readonly Peer[] = [
  { name: 'Bento, multi-row insert', program: bento, config: 'to-postgres.yaml', settings: byRate },
  { name: 'Bento, json_to_recordset', program: bento, config: 'to-postgres-json.yaml', settings: byRate },
  { name: 'Redpanda Connect', program: redpandaConnect, config: 'to-postgres.yaml', settings: byRate },
];

/** Of the SQS message where it can be had. */
const sentAt = {
  bento: '(@sqs_sent_timestamp.number() / 1000)',
  'redpanda-connect': 'now()',
} as const;

export const peerConnectors: readonly Peer[] = [bento, redpandaConnect].map((program) => ({
  name: program === bento ? 'Bento' : 'Redpanda Connect',
  program,
  config: 'to-kafka.yaml',
  settings: {
    RECEIVERS: '8',
    BATCH_RECORDS: '1000',
    BATCH_PERIOD: '50ms',
    GOGC: '400',
    SENT_AT: program === bento ? sentAt.bento : sentAt['redpanda-connect'],
  },
}));

/** The same two with batches for latency: as many milliseconds as given. Four receivers, for eight take longer to wake. */
export function latencyPair(program: PeerProgram, batchMs: number): { connector: Peer; writer: Peer } {
  const connector = peerConnectors.find((peer) => peer.program === program);
  const writer = peerWriters.find((peer) => peer.program === program);
  if (connector === undefined || writer === undefined) throw new Error(`no peer ${program.name}`);
  const batches = { BATCH_RECORDS: '500', BATCH_PERIOD: `${batchMs}ms` };
  return {
    connector: { ...connector, settings: { ...connector.settings, ...batches, RECEIVERS: '4' } },
    writer: { ...writer, settings: { ...writer.settings, ...batches } },
  };
}

/** Starts a peer on a pipeline's queue, topic and database, as a group of its own. */
export async function startPeer(
  peer: Peer,
  pipeline: Pipeline,
  more: Readonly<Record<string, string>> = {},
): Promise<ServiceProcess> {
  const binary = await builtPeer(peer.program);
  const config = fileURLToPath(new URL(peer.config, import.meta.url));
  const args = peer.program === bento ? ['-c', config] : ['run', config];
  return await startProcess(binary, args, join(pipeline.directory, `${randomName('peer')}.log`), {
    ...peer.settings,
    KAFKA_BROKERS: pipeline.kafkaBrokers,
    RAW_TOPIC: pipeline.rawTopic,
    WRITER_GROUP: randomName('peers'),
    SQS_QUEUE_URL: pipeline.queue.queueUrl,
    SQS_ENDPOINT: pipeline.queue.endpoint,
    PEER_DSN: `${pipeline.database.urls.admin}?sslmode=disable`,
    FIELD_KEY: fieldKey,
    TOKEN_KEY: tokenKey,
    ...more,
  });
}
