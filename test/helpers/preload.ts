import { randomUUID } from 'node:crypto';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { sampleLogins, seededRandom, type SampleLogin } from '../../services/demo/sample-logins.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';
import { createRecordProducer } from '../../shared/kafka/kafkajs-producer.ts';
import { partitionFor } from '../../shared/kafka/partitioner.ts';
import type { OutgoingRecord } from '../../shared/kafka/ports.ts';
import { dayOf } from '../../shared/time.ts';
import { openTransitKeys } from '../../shared/vault/open-vault.ts';
import type { Pipeline } from './pipeline.ts';
import { testSqsClient } from './queues.ts';
import { testKafkaClient } from './topics.ts';

const perRequest = 1_000;

export interface PreloadOptions {
  readonly seed?: number;
  /** One record in so many has the header of a trace. */
  readonly tracedEvery?: number;
  /** When each was sent (default: now, all of them). */
  readonly sentAtMs?: (index: number) => number;
  /** One in so many is of another shape: a dead letter. */
  readonly misshapenEvery?: number;
  /** What becomes of each login before it is sealed. */
  readonly change?: (login: SampleLogin) => SampleLogin;
}

/** Puts `count` logins on the raw topic as the connector would: sealed in transit, keyed by MessageId, spread by key. */
export async function preloadTopic(
  pipeline: Pipeline,
  count: number,
  options: PreloadOptions = {},
): Promise<void> {
  const nowMs = Date.now();
  const {
    seed = 1,
    tracedEvery = Infinity,
    misshapenEvery = Infinity,
    change = (login) => login,
    sentAtMs: sentAt = () => nowMs,
  } = options;
  const producer = createRecordProducer(testKafkaClient(pipeline.kafkaBrokers));
  const partitions = await producer.partitionCount(pipeline.rawTopic);
  const transit = new TransitSealer(await openTransitKeys({ VAULT_URL: pipeline.env['VAULT_URL'] ?? '' }));
  const logins = sampleLogins(seededRandom(seed));
  const lanes = Array.from({ length: partitions }, (): OutgoingRecord[] => []);
  const flush = async () => {
    const batches = lanes
      .map((records, partition) => ({ partition, records }))
      .filter(({ records }) => records.length > 0);
    const acks = await producer.send(pipeline.rawTopic, batches);
    for (const ack of acks) if ('error' in ack) throw ack.error;
    for (const lane of lanes) lane.length = 0;
  };
  for (let i = 0; i < count; i++) {
    const eventId = randomUUID();
    const sentAtMs = sentAt(i);
    await transit.prepare(dayOf(sentAtMs));
    // 1 % Infinity is 1.
    const body =
      misshapenEvery !== Infinity && i % misshapenEvery === 1 ? { foo: i } : change(logins.next().value);
    const value = transit.seal(Buffer.from(JSON.stringify(body)), { eventId, sentAtMs });
    const key = Buffer.from(eventId);
    const lane = lanes[partitionFor(key, partitions)];
    if (value === undefined || lane === undefined) throw new Error('no key or no partition');
    const traceId = eventId.replaceAll('-', '');
    const traced = i % tracedEvery === 1;
    const headers = { traceparent: Buffer.from(`00-${traceId}-${traceId.slice(16)}-01`) };
    lane.push({ key, value, timestampMs: sentAtMs, ...(traced ? { headers } : {}) });
    if (lane.length === perRequest) await flush();
  }
  await flush();
  await producer.close();
}

/** Puts `count` logins into the queue, ten a request, eight requests at once. */
export async function preloadQueue(pipeline: Pipeline, count: number, seed = 1): Promise<void> {
  const client = testSqsClient(pipeline.queue.endpoint);
  const logins = sampleLogins(seededRandom(seed));
  let made = 0;
  const send = async () => {
    while (made < count) {
      const size = Math.min(10, count - made);
      made += size;
      const Entries = Array.from({ length: size }, (_, i) => ({
        Id: String(i),
        MessageBody: JSON.stringify(logins.next().value),
      }));
      const answer = await client.send(
        new SendMessageBatchCommand({ QueueUrl: pipeline.queue.queueUrl, Entries }),
      );
      if (answer.Successful?.length !== size) throw new Error('SQS refused a message');
    }
  };
  await Promise.all(Array.from({ length: 8 }, send));
  client.destroy();
}
