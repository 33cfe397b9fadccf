import { expect, test } from 'vitest';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { eventually } from '../helpers/pipeline.ts';
import { createTopic, testKafkaClient } from '../helpers/topics.ts';
import { ownFaultServers } from './own-cluster.ts';

test('too few replicas in sync: no record is acknowledged until they are back', async () => {
  const servers = ownFaultServers();
  const brokers = servers.direct.kafkaBrokers;
  const topic = await createTopic(brokers, { partitions: 3, replication: 3, minInsync: 3 });
  const producer = createRecordProducer(testKafkaClient(brokers));
  const send = async () => {
    const records = [{ key: Buffer.from('k'), value: Buffer.from('v'), timestampMs: Date.now() }];
    const acks = await producer.send(
      topic,
      [0, 1, 2].map((partition) => ({ partition, records })),
    );
    return acks.map((ack) => ('error' in ack ? 'refused' : 'acknowledged'));
  };
  const all = ['acknowledged', 'acknowledged', 'acknowledged'];
  try {
    await eventually('all are acknowledged', async () => (await send()).join() === all.join());
    await servers.kill('kafka-2');
    for (let attempt = 0; attempt < 3; attempt += 1) expect(await send()).not.toContain('acknowledged');
  } finally {
    await servers.restore();
  }
  await eventually('all are acknowledged again', async () => (await send()).join() === all.join());
  await producer.close();
});
