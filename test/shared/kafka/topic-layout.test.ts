import { describe, expect, test } from 'vitest';
import {
  deadLetterTopicSlice,
  environmentSlice,
  parseConfig,
  rawTopicSlice,
  topicLayoutSlice,
  type Env,
} from '../../../shared/config.ts';
import { msPerDay } from '../../../shared/time.ts';
import { describeTopics, topicLayout } from '../../../shared/kafka/topic-layout.ts';

const layout = (env: Env) =>
  topicLayout(
    parseConfig(env, { ...environmentSlice, ...rawTopicSlice, ...deadLetterTopicSlice, ...topicLayoutSlice }),
  );

describe('topicLayout', () => {
  test('in dev: one replica, eight partitions, bodies for longer than SQS keeps a message', () => {
    expect(layout({})).toEqual([
      { topic: 'user-logins.raw', partitions: 8, replication: 1, minInsync: 1, retentionMs: 21 * msPerDay },
      { topic: 'user-logins.dead', partitions: 8, replication: 1, minInsync: 1, retentionMs: 90 * msPerDay },
    ]);
  });

  test('with three replicas two must have a record, unless said otherwise', () => {
    expect(layout({ TOPIC_REPLICATION: '3' })[0]).toMatchObject({ replication: 3, minInsync: 2 });
    expect(layout({ TOPIC_REPLICATION: '3', TOPIC_MIN_INSYNC: '3' })[0]).toMatchObject({ minInsync: 3 });
  });

  test.for(['qa', 'prod'])('in %s the number of replicas must be decided', (environment) => {
    expect(() => layout({ SLUICE_ENV: environment })).toThrow(/TOPIC_REPLICATION is not set/);
    expect(layout({ SLUICE_ENV: environment, TOPIC_REPLICATION: '3' })[1]).toMatchObject({ replication: 3 });
  });

  test('more in-sync replicas than replicas is refused', () => {
    expect(() => layout({ TOPIC_REPLICATION: '2', TOPIC_MIN_INSYNC: '3' })).toThrow(/TOPIC_MIN_INSYNC/);
  });
});

test('describeTopics says what was done, and nothing where nothing was', () => {
  expect(
    describeTopics([
      { topic: 'a', created: true, corrected: [] },
      { topic: 'b', created: false, partitionsBefore: 4, corrected: ['max.message.bytes', 'retention.ms'] },
      { topic: 'c', created: false, corrected: [] },
    ]),
  ).toEqual([
    'made topic a',
    'added partitions to topic b, which had 4',
    'corrected max.message.bytes, retention.ms of topic b',
  ]);
});
