import type { Loop } from '../health/loop.ts';
import type { OutageObserver } from '../outage.ts';
import { classifyKafkaError } from './classify.ts';
import type { RecordProducer } from './ports.ts';

/** The same producer, telling how its requests go: for whoever tries again by himself, as the publisher does. */
export function watchProducer(
  producer: RecordProducer,
  watch: { readonly loop: Loop; readonly kafka: OutageObserver },
): RecordProducer {
  return {
    partitionCount: (topic) => producer.partitionCount(topic),
    close: () => producer.close(),
    send: (topic, batches) =>
      watch.loop.during(async () => {
        const acks = await producer.send(topic, batches);
        const failed = acks.find((ack) => 'error' in ack);
        if (failed === undefined) watch.kafka.succeeded();
        else if ('error' in failed) watch.kafka.failed(classifyKafkaError(failed.error));
        return acks;
      }),
  };
}
