import kafkajs from 'kafkajs';
import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup.js';
import { describe, expect, it } from 'vitest';
import { isOfType } from '../../../shared/kafka/classify.ts';
import { outOfRangeMessage, rejoinError } from '../../../shared/kafka/kafkajs-assignment.ts';
import { errorOfCode, patchKafkajs } from '../../../shared/kafka/kafkajs-patches.ts';

patchKafkajs();

interface Partition {
  readonly low: number;
  readonly high: number;
  readonly position: number;
}

/** A group that joins nothing and counts what it is asked for. */
function createGroup(at?: Partition): { group: ConsumerGroup; calls: string[] } {
  const calls: string[] = [];
  const offsetManager = {
    nextOffset: () => String(at?.position),
    resolveOffset: ({ offset }: { offset: string }) => calls.push(`behind ${offset}`),
    commitOffsets: async () => calls.push('commit'),
    setDefaultOffset: async () => calls.push('reset the group'),
  };
  const group: ConsumerGroup = Object.assign(Object.create(ConsumerGroup.prototype), {
    offsetManager: at === undefined ? null : offsetManager,
    logger: { debug: () => undefined, warn: (message: string) => calls.push(message) },
    cluster: {
      fetchTopicsOffset: async ([{ fromBeginning }]: [{ fromBeginning: boolean }]) => [
        { topic: 't', partitions: [{ partition: 0, offset: String(fromBeginning ? at?.low : at?.high) }] },
      ],
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

describe('a position that a broker calls out of range', () => {
  const outOfRange = Object.assign(new Error(), {
    name: 'KafkaJSOffsetOutOfRange',
    topic: 't',
    partition: 0,
  });

  it.each([10, 15, 20])(
    'is read from the committed offset, by a new leader, when it is inside: %d',
    async (position) => {
      const { group, calls } = createGroup({ low: 10, high: 20, position });
      await expect(group.recoverFromFetch(outOfRange)).rejects.toMatchObject({
        type: 'REBALANCE_IN_PROGRESS',
      });
      expect(calls).toEqual(['refresh']);
    },
  );

  it.each([9, 21])(
    'moves to the beginning when it is outside, commits nothing and says so: %d',
    async (position) => {
      const { group, calls } = createGroup({ low: 10, high: 20, position });
      await group.recoverFromFetch(outOfRange);
      expect(calls).toEqual(['refresh', outOfRangeMessage, 'behind 9']);
    },
  );
});

describe('rejoinError', () => {
  it('is what kafkajs takes for a rebalance', () => {
    expect(rejoinError()).toBeInstanceOf(kafkajs.KafkaJSProtocolError);
    expect(rejoinError()).toMatchObject({ type: 'REBALANCE_IN_PROGRESS' });
  });
});
