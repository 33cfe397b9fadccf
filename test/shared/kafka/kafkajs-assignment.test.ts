import kafkajs from 'kafkajs';
import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup.js';
import { describe, expect, it } from 'vitest';
import { isOfType } from '../../../shared/kafka/classify.ts';
import { rejoinError } from '../../../shared/kafka/kafkajs-assignment.ts';
import { errorOfCode, patchKafkajs } from '../../../shared/kafka/kafkajs-patches.ts';

patchKafkajs();

/** A group that joins nothing and counts what it is asked for. */
function createGroup(): { group: ConsumerGroup; calls: string[] } {
  const calls: string[] = [];
  const group: ConsumerGroup = Object.assign(Object.create(ConsumerGroup.prototype), {
    offsetManager: null,
    logger: { debug: () => undefined, warn: () => undefined },
    cluster: {
      refreshMetadata: async () => calls.push('refresh'),
      removeBroker: () => calls.push('remove broker'),
    },
    joinAndSync: async () => calls.push('join'),
  });
  return { group, calls };
}

describe('a fetch that finds stale metadata', () => {
  it.each([3, 5, 6, 74, 75])('raises a rebalance instead of joining by itself (Kafka %d)', async (code) => {
    const { group, calls } = createGroup();
    const error: unknown = await group.recoverFromFetch(errorOfCode(code)).catch((caught: unknown) => caught);
    expect(isOfType(error, 'REBALANCE_IN_PROGRESS')).toBe(true);
    expect(calls).toEqual(['refresh']);
  });

  it('raises a rebalance when partitions were added', async () => {
    const { group, calls } = createGroup();
    const added = Object.assign(new Error(), { name: 'KafkaJSStaleTopicMetadataAssignment' });
    await expect(group.recoverFromFetch(added)).rejects.toMatchObject({ type: 'REBALANCE_IN_PROGRESS' });
    expect(calls).toEqual([]);
  });

  it('recovers from anything else as kafkajs does', async () => {
    const { group, calls } = createGroup();
    await group.recoverFromFetch(Object.assign(new Error(), { name: 'KafkaJSConnectionClosedError' }));
    expect(calls).toEqual(['remove broker']);
    const other = new Error('other');
    await expect(group.recoverFromFetch(other)).rejects.toBe(other);
  });
});

describe('rejoinError', () => {
  it('is what kafkajs takes for a rebalance', () => {
    expect(rejoinError()).toBeInstanceOf(kafkajs.KafkaJSProtocolError);
    expect(rejoinError()).toMatchObject({ type: 'REBALANCE_IN_PROGRESS' });
  });
});
