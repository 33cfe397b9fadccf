import { randomBytes } from 'node:crypto';
import { conformance } from '../shared/kafka/conformance.ts';
import { FakeKafka } from './fake-kafka.ts';

conformance('FakeKafka', () => {
  const kafka = new FakeKafka();
  return {
    createTopic: async (partitions) => {
      const topic = randomBytes(6).toString('hex');
      kafka.createTopic(topic, partitions);
      return topic;
    },
    producer: () => kafka.producer(),
    consumer: (options) => kafka.consumer(options),
  };
});
