import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stackPaths } from '../../../services/local-stack/stack-state.ts';
import { withAdmin } from '../../../shared/kafka/admin.ts';
import { brokerNames, type ServerName } from '../../helpers/fault-servers.ts';
import { testKafkaClient } from '../../helpers/topics.ts';
import type { Fault, FaultContext } from '../fault.ts';

/** The broker that leads a partition of the raw topic. */
async function leaderOf({ pipeline }: FaultContext, partition: number): Promise<ServerName> {
  const leader = await withAdmin(testKafkaClient(pipeline.kafkaBrokers), async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [pipeline.rawTopic] });
    return topics[0]?.partitions.find(({ partitionId }) => partitionId === partition)?.leader;
  });
  return nameOf(leader);
}

/** The active controller, as the nodes have written it down: no client that we have can ask for it. */
async function controllerOf({ servers }: FaultContext): Promise<ServerName> {
  const { kafka } = stackPaths(servers.cluster.directory);
  const states = await Promise.all(
    brokerNames.map(async (name): Promise<{ leaderId: number; leaderEpoch: number }> => {
      const file = join(kafka, name, 'data', '__cluster_metadata-0', 'quorum-state');
      return JSON.parse(await readFile(file, 'utf8'));
    }),
  );
  const [latest] = states
    .filter(({ leaderId }) => leaderId > 0)
    .sort((a, b) => b.leaderEpoch - a.leaderEpoch);
  return nameOf(latest?.leaderId);
}

function nameOf(nodeId: number | undefined): ServerName {
  const name = brokerNames[(nodeId ?? 0) - 1];
  if (name === undefined) throw new Error('nobody leads');
  return name;
}

/** Down while messages come: the others go on with two of three replicas. */
async function without(
  context: FaultContext,
  names: readonly ServerName[],
  end: 'kill' | 'stop',
): Promise<void> {
  await context.servers[end](...names);
  await context.sends(context.long ? 3_000 : 600);
  await context.servers.start(...names);
}

export const brokerRestarted: Fault = {
  name: 'broker restarted',
  inject: (context) => without(context, [brokerNames[context.between(0, 2)] ?? 'kafka-1'], 'stop'),
};

export const leaderKilled: Fault = {
  name: 'kill -9 of a leader',
  async inject(context) {
    const leader = await leaderOf(context, context.between(0, 7));
    await context.servers.kill(leader);
    // The others take over without it.
    await context.flows();
    await context.servers.start(leader);
  },
};

export const controllerKilled: Fault = {
  name: 'kill -9 of the controller',
  async inject(context) {
    const controller = await controllerOf(context);
    await context.servers.kill(controller);
    await context.flows();
    await context.servers.start(controller);
  },
};

export const allBrokersRestarted: Fault = {
  name: 'all brokers restarted',
  inject: (context) => without(context, brokerNames, 'stop'),
};

export const allBrokersKilled: Fault = {
  name: 'kill -9 of all brokers',
  inject: (context) => without(context, brokerNames, 'kill'),
};
