import kafkajs from 'kafkajs';
import ConsumerGroup, { type OffsetManager } from 'kafkajs/src/consumer/consumerGroup.js';
import { isOfType } from './classify.ts';
import type { Position } from './ports.ts';

/**
 * One assignment of a group member, from a join to the next: the one under which a batch was fetched.
 * **What is done through it never touches a later assignment**: positions move and offsets are committed in the
 * generation of that join, or not at all.
 */
export interface Assignment {
  /** False once a later join has begun or {@link Assignment.revoke} was called: hand nothing over any more. */
  isCurrent(): boolean;
  /** False once a later join has taken its place. */
  isLatest(): boolean;
  /** Makes it not current before the group's next join. */
  revoke(): void;
  /** The next fetch of this partition begins behind `lastOffset`. */
  moveBehind(topic: string, partition: number, lastOffset: string): void;
  /** One attempt under this generation; rejects with kafkajs's error. */
  commit(topic: string, position: Position, noteOf: NoteOf): Promise<void>;
}

/** What is kept beside the offset of a partition, if anything: Kafka calls it metadata. */
export type NoteOf = (partition: number) => string | undefined;

const assignments = new WeakMap<OffsetManager, Assignment>();
const assignmentOfBatch = new WeakMap<object, Assignment>();

/** What kafkajs's runner answers by leaving its fetch loop, waiting for running handlers, and joining the group again. */
export function rejoinError(): Error {
  return new kafkajs.KafkaJSProtocolError(
    Object.assign(new Error('join again'), { type: 'REBALANCE_IN_PROGRESS', code: 27, retriable: false }),
  );
}

/** The assignment a batch was fetched under; undefined for a batch fetched before {@link patchConsumerGroup}. */
export function assignmentOf(batch: object): Assignment | undefined {
  return assignmentOfBatch.get(batch);
}

/** kafkajs answers these from inside a fetch by joining again at once (STALE_METADATA_ERRORS of consumerGroup.js, and by name). */
const staleTypes = [
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'UNKNOWN_TOPIC_OR_PARTITION',
];
const staleNames = new Set(['KafkaJSTopicMetadataNotLoaded', 'KafkaJSStaleTopicMetadataAssignment']);

/** Said, with topic and partition, when a position lies outside the partition: records were deleted before they were read. */
export const outOfRangeMessage = 'the position lies outside the partition: reading on from its beginning';

/**
 * Three corrections of kafkajs's consumer group, so that no batch crosses a join and no position moves on its own.
 *
 * A fetch that finds stale metadata (a leader moved, partitions were added) joined the group by itself while the
 * fetchers of other brokers still had requests and handlers running; these then moved the positions of the new assignment past
 * records that nobody had handed over. Now it raises a rebalance like any other, which stops all fetchers first.
 *
 * "Offset out of range" made kafkajs commit "the earliest" for the whole group and read from there, although a former leader that has
 * not yet noticed says so too. Now the partition's own bounds decide.
 *
 * And every fetched batch remembers the {@link Assignment} it was asked for under.
 */
export function patchConsumerGroup(): void {
  const { fetch, recoverFromFetch } = ConsumerGroup.prototype;

  ConsumerGroup.prototype.fetch = async function fetchUnderAssignment(nodeId) {
    const manager = this.offsetManager;
    const batches = await fetch.call(this, nodeId);
    if (manager === null || this.offsetManager !== manager) return [];
    const assignment = assignmentFor(this, manager);
    for (const batch of batches) assignmentOfBatch.set(batch, assignment);
    return batches;
  };

  ConsumerGroup.prototype.recoverFromFetch = async function recoverByRebalance(error) {
    const name = error instanceof Error ? error.name : '';
    if (name === 'KafkaJSOffsetOutOfRange') return recoverPosition(this, error);
    if (!staleNames.has(name) && !isOfType(error, ...staleTypes)) return recoverFromFetch.call(this, error);
    if (this.offsetManager !== null) assignmentFor(this, this.offsetManager).revoke();
    if (name !== 'KafkaJSStaleTopicMetadataAssignment') await this.cluster.refreshMetadata();
    throw rejoinError();
  };
}

/** Moves a position that is truly outside its partition to the beginning; otherwise the new leader is to be asked: rejoins. */
async function recoverPosition(group: ConsumerGroup, error: unknown): Promise<void> {
  const manager = group.offsetManager;
  const place = placeOf(error);
  if (manager === null || place === undefined) throw error;
  const { topic, partition } = place;
  await group.cluster.refreshMetadata();
  const bound = async (fromBeginning: boolean) => {
    const [found] = await group.cluster.fetchTopicsOffset([
      { topic, fromBeginning, partitions: [{ partition }] },
    ]);
    return BigInt(found?.partitions[0]?.offset ?? '-1');
  };
  const [low, high] = [await bound(true), await bound(false)];
  const position = BigInt(manager.nextOffset(topic, partition).toString());
  if (low < 0n || (position >= low && position <= high)) {
    assignmentFor(group, manager).revoke();
    throw rejoinError();
  }
  group.logger.warn(outOfRangeMessage, { topic, partition });
  manager.resolveOffset({ topic, partition, offset: String(low - 1n) });
}

function placeOf(error: unknown): { topic: string; partition: number } | undefined {
  if (typeof error !== 'object' || error === null || !('topic' in error && 'partition' in error))
    return undefined;
  const { topic, partition } = error;
  return typeof topic === 'string' && typeof partition === 'number' ? { topic, partition } : undefined;
}

function assignmentFor(group: ConsumerGroup, manager: OffsetManager): Assignment {
  const known = assignments.get(manager);
  if (known !== undefined) return known;
  let revoked = false;
  const isLatest = () => group.offsetManager === manager;
  const assignment: Assignment = {
    isCurrent: () => !revoked && isLatest(),
    isLatest,
    revoke: () => {
      revoked = true;
    },
    moveBehind: (topic, partition, lastOffset) =>
      manager.resolveOffset({ topic, partition, offset: lastOffset }),
    commit: (topic, position, noteOf) => {
      const partitions = [...position].map(([partition, offset]) => ({
        partition,
        offset: String(offset),
        metadata: noteOf(partition) ?? null,
      }));
      return manager.commitOffsets({ topics: [{ topic, partitions }] });
    },
  };
  assignments.set(manager, assignment);
  return assignment;
}
