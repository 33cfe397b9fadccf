import { connect } from 'node:net';
import kafkajs, { type Admin } from 'kafkajs';
import type { z } from 'zod';
import {
  deadLetterTopicSlice,
  environmentSlice,
  kafkaSlice,
  rawTopicSlice,
  topicLayoutSlice,
  writerGroupSlice,
} from '../../shared/config.ts';
import { kafkaAccess } from '../../shared/kafka/access.ts';
import { partitionsOf, withAdmin } from '../../shared/kafka/admin.ts';
import { createKafkaClient } from '../../shared/kafka/kafkajs-client.ts';
import { settled } from '../../shared/kafka/offsets.ts';
import { topicLayout } from '../../shared/kafka/topic-layout.ts';
import { wantedConfig, type TopicSpec } from '../../shared/kafka/topics.ts';
import type { Logger } from '../../shared/log.ts';
import { Findings, type Finding } from './finding.ts';

/** What is read of the environment for it. */
export const kafkaShape = {
  ...environmentSlice,
  ...kafkaSlice,
  ...rawTopicSlice,
  ...deadLetterTopicSlice,
  ...topicLayoutSlice,
  ...writerGroupSlice,
};

type KafkaSettings = z.output<z.ZodObject<typeof kafkaShape>>;

const connectMs = 3_000;
const migrate = 'Run "sluice migrate" or "sluice maintain", which set it.';

/** Brokers, topics as the settings want them, and the writers' group. Kafka tells nobody its clock. */
export async function checkKafka(config: KafkaSettings, log: Logger): Promise<Finding[]> {
  const findings = new Findings('kafka');
  const answers = await Promise.all(config.KAFKA_BROKERS.map(reaches));
  for (const [i, broker] of config.KAFKA_BROKERS.entries()) {
    if (answers[i] !== true)
      findings.warn(`${broker} of KAFKA_BROKERS cannot be reached`, 'Start it, or correct KAFKA_BROKERS.');
  }
  const client = createKafkaClient({ ...kafkaAccess(config), clientId: 'sluice-doctor', log });
  await findings.during('Kafka', () =>
    withAdmin(client, async (admin) => {
      const { brokers, controller } = await admin.describeCluster();
      findings.ok(
        `${brokers.length === 1 ? '1 broker answers' : `${brokers.length} brokers answer`}, controller ${controller ?? 'unknown'}`,
      );
      if (config.SLUICE_ENV !== 'dev' && brokers.length < 3) {
        findings.warn(
          `${brokers.length} brokers: a record is on too few of them to survive one`,
          'Run three or more.',
        );
      }
      for (const spec of topicLayout(config))
        await findings.during(`topic ${spec.topic}`, () => checkTopic(findings, admin, spec));
      await checkGroup(findings, admin, config.WRITER_GROUP);
    }),
  );
  return findings.list;
}

async function checkTopic(findings: Findings, admin: Admin, spec: TopicSpec): Promise<void> {
  const { topic } = spec;
  if ((await partitionsOf(admin, topic)) === undefined) {
    findings.fail(`topic ${topic} does not exist`, 'Run "sluice migrate".');
    return;
  }
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const partitions = topics.find(({ name }) => name === topic)?.partitions ?? [];
  const before = findings.list.length;
  if (partitions.length !== spec.partitions) {
    findings.warn(
      `topic ${topic} has ${partitions.length} partitions, TOPIC_PARTITIONS is ${spec.partitions}`,
      partitions.length < spec.partitions ? migrate : 'Correct TOPIC_PARTITIONS: none can be taken away.',
    );
  }
  const replicas = Math.min(...partitions.map((one) => one.replicas.length));
  if (replicas < spec.replication) {
    findings.fail(
      `topic ${topic} has ${replicas} replicas, TOPIC_REPLICATION is ${spec.replication}`,
      'Sluice does not move replicas: use kafka-reassign-partitions, or correct TOPIC_REPLICATION.',
    );
  }
  const thin = partitions.filter((one) => one.leader < 0 || one.isr.length < one.replicas.length);
  if (thin.length > 0) {
    findings.warn(
      `${thin.length} partitions of ${topic} lack a leader or a replica in sync`,
      'A broker is down or slow: look at it.',
    );
  }
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
  });
  const now = new Map(
    resources.flatMap(({ configEntries }) =>
      configEntries.map(({ configName, configValue }) => [configName, configValue]),
    ),
  );
  for (const [name, wanted] of wantedConfig(spec)) {
    if (now.get(name) !== wanted)
      findings.fail(`${name} of ${topic} is ${now.get(name)}, not ${wanted}`, migrate);
  }
  if (now.get('cleanup.policy') !== 'delete') {
    findings.fail(
      `cleanup.policy of ${topic} is ${now.get('cleanup.policy')}: compaction takes records before they are read`,
      'Set it to delete.',
    );
  }
  if (findings.list.length === before) {
    findings.ok(
      `topic ${topic}: ${partitions.length} partitions, ${replicas} replicas, as the settings want it`,
    );
  }
}

async function checkGroup(findings: Findings, admin: Admin, group: string): Promise<void> {
  const { groups } = await settled(() => admin.describeGroups([group]));
  const { members = [], state = 'Unknown' } = groups[0] ?? {};
  if (members.length > 0) findings.ok(`group ${group}: ${members.length} writers, ${state}`);
  else
    findings.warn(
      `group ${group} has no members (${state})`,
      'Start "sluice writer", or correct WRITER_GROUP.',
    );
}

function reaches(broker: string): Promise<boolean> {
  const at = broker.lastIndexOf(':');
  return new Promise((resolve) => {
    const socket = connect({
      host: broker.slice(0, at),
      port: Number(broker.slice(at + 1)),
      timeout: connectMs,
    });
    const end = (reached: boolean) => {
      socket.destroy();
      resolve(reached);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
