import { randomUUID } from 'node:crypto';
import { sampleLogins, seededRandom, type SampleLogin } from '../../../services/demo/sample-logins.ts';
import { readAll, randomName, testKafkaClient } from '../../helpers/topics.ts';
import { ensureTopics } from '../../../shared/kafka/topics.ts';
import type { Pipeline } from '../../helpers/pipeline.ts';
import { msPerDay } from '../../../shared/time.ts';

const perRequest = 5_000;

/** The peers' mapping takes versions of three parts, and a refused one would cost them an error each. */
export function threeParts(login: SampleLogin): SampleLogin {
  const parts = login.app_version.split('.');
  return parts.length === 3 ? login : { ...login, app_version: `${login.app_version}.0` };
}

/**
 * A topic as the peers' own connectors fill it: the same logins in envelopes, not compressed, and `sent_at` rising over the day, so that their
 * primary key grows at its end. Its name.
 */
export async function preloadEnvelopes(
  pipeline: Pipeline,
  count: number,
  partitions: number,
): Promise<string> {
  const topic = randomName('envelopes');
  const client = testKafkaClient(pipeline.kafkaBrokers);
  await ensureTopics(client, [{ topic, partitions, replication: 1, minInsync: 1 }]);
  const producer = client.open().kafka.producer();
  await producer.connect();
  const logins = sampleLogins(seededRandom(1));
  const dayStart = Math.floor(Date.now() / msPerDay) * msPerDay;
  for (let made = 0; made < count; made += perRequest) {
    const messages = Array.from({ length: Math.min(perRequest, count - made) }, (_, i) => {
      const eventId = randomUUID();
      const sentAt = new Date(dayStart + Math.floor(((made + i) * (msPerDay - 1)) / count)).toISOString();
      const body = threeParts(logins.next().value);
      return { key: eventId, value: JSON.stringify({ event_id: eventId, sent_at: sentAt, body }) };
    });
    await producer.send({ topic, acks: -1, messages });
  }
  await producer.disconnect();
  return topic;
}

/** Reads what a peer has put on the raw topic. @throws unless it is `count` logins, each of its own message */
export async function readEveryEnvelope(pipeline: Pipeline, count: number): Promise<void> {
  const seen = new Set<string>();
  for (const record of await readAll(pipeline.kafkaBrokers, pipeline.rawTopic)) {
    const envelope: unknown = JSON.parse(record.value.toString());
    if (typeof envelope !== 'object' || envelope === null || !('event_id' in envelope && 'body' in envelope))
      throw new Error('a record that is no envelope');
    if (envelope.event_id !== record.key.toString()) throw new Error('a key that is not the message');
    seen.add(record.key.toString());
  }
  if (seen.size !== count) throw new Error(`${seen.size} messages on the topic, not ${count}`);
}
