import { inject } from 'vitest';
import { createRecordConsumer } from '../../../shared/kafka/kafkajs-consumer.ts';
import { createRecordProducer } from '../../../shared/kafka/kafkajs-producer.ts';
import { createTopic, testKafkaClient } from '../../helpers/topics.ts';
import { conformance } from './conformance.ts';

conformance('kafkajs on a broker', () => {
  const brokers = inject('kafkaBrokers');
  const client = testKafkaClient(brokers);
  return {
    createTopic: (partitions) => createTopic(brokers, { partitions }),
    producer: () => createRecordProducer(client),
    consumer: (options) => createRecordConsumer(client, { maxWaitMs: 100, ...options }),
  };
});
