import kafkajs, { type Admin } from 'kafkajs';
import { withAdmin } from '../../../shared/kafka/admin.ts';
import type { KafkaClient } from '../../../shared/kafka/kafkajs-client.ts';
import { committedOffsets, settled, topicOffsets } from '../../../shared/kafka/offsets.ts';
import { readRange } from '../../../shared/kafka/read-range.ts';
import type { Clock } from '../../../shared/time.ts';
import { Rate } from './rate.ts';
import type { PartitionLook, TopicLook } from './snapshot.ts';

/** Of the next record to read only its time is wanted; Kafka hands over the batch that it is part of. */
const peekBytes = 4_096;

/** The raw topic and the group of its writers, again and again. */
export class TopicWatch {
  readonly #client: KafkaClient;
  readonly #names: { readonly topic: string; readonly group: string };
  readonly #clock: Clock;
  readonly #published = new Map<number | 'all', Rate>();
  readonly #read = new Map<number | 'all', Rate>();

  constructor(
    client: KafkaClient,
    options: { readonly topic: string; readonly group: string; readonly clock: Clock },
  ) {
    this.#client = client;
    this.#names = options;
    this.#clock = options.clock;
  }

  /** @throws PipelineError of Kafka */
  async look(): Promise<TopicLook> {
    const { topic, group } = this.#names;
    // Commits first: a record that comes in between is lag, not one read ahead of its time.
    const committed = await committedOffsets(this.#client, group, topic);
    const offsets = await topicOffsets(this.#client, topic);
    const atMs = this.#clock();
    const { partitions, members, groupState } = await withAdmin(this.#client, (admin) =>
      describe(admin, topic, group),
    );
    const behind = new Map<number, { from: bigint; to: bigint }>();
    for (const [partition, { low, high }] of offsets) {
      const next = committed.get(partition) ?? low;
      if (next < high) behind.set(partition, { from: next > low ? next : low, to: high });
    }
    const oldest = await this.#oldest(behind);
    const looks = [...offsets].map(([partition, { high }]): PartitionLook => {
      const left = behind.get(partition);
      const sentAtMs = oldest.get(partition);
      const next = committed.get(partition);
      const about = partitions.get(partition);
      return {
        partition,
        end: String(high),
        committed: next === undefined ? null : String(next),
        lag: left === undefined ? 0 : Number(left.to - left.from),
        oldestSeconds: sentAtMs === undefined ? null : Math.max(0, atMs - sentAtMs) / 1_000,
        publishedPerSecond: rate(this.#published, partition, atMs, Number(high)),
        readPerSecond: rate(this.#read, partition, atMs, Number(next ?? 0n)),
        member: members.get(partition) ?? null,
        leader: about?.leader ?? false,
        replicas: about?.replicas ?? 0,
        inSync: about?.inSync ?? 0,
      };
    });
    const sum = (values: Iterable<bigint>) => Number([...values].reduce((a, b) => a + b, 0n));
    return {
      topic,
      group,
      groupState,
      members: new Set(members.values()).size,
      lag: looks.reduce((total, { lag }) => total + lag, 0),
      publishedPerSecond: rate(
        this.#published,
        'all',
        atMs,
        sum([...offsets.values()].map(({ high }) => high)),
      ),
      readPerSecond: rate(this.#read, 'all', atMs, sum([...committed.values()].map((next) => next ?? 0n))),
      partitions: looks,
    };
  }

  /** When the next record of each partition was sent. What cannot be read at once is left out. */
  async #oldest(behind: ReadonlyMap<number, { from: bigint; to: bigint }>): Promise<Map<number, number>> {
    const found = new Map<number, number>();
    const range = new Map([...behind].map(([p, { from }]) => [p, { from, to: from + 1n }]));
    const options = { attempts: 1, maxBytesPerPartition: peekBytes };
    try {
      for await (const { partition, records } of readRange(this.#client, this.#names.topic, range, options)) {
        const [next] = records;
        if (next !== undefined) found.set(partition, next.timestampMs);
      }
    } catch {
      // A leader moves, or retention has just taken it: the next look tells.
    }
    return found;
  }
}

function rate(rates: Map<number | 'all', Rate>, of: number | 'all', atMs: number, value: number) {
  const one = rates.get(of) ?? new Rate();
  rates.set(of, one);
  return one.add(atMs, value);
}

interface Described {
  readonly partitions: ReadonlyMap<number, { leader: boolean; replicas: number; inSync: number }>;
  /** Partition → member, counted from 1. */
  readonly members: ReadonlyMap<number, number>;
  readonly groupState: string;
}

async function describe(admin: Admin, topic: string, group: string): Promise<Described> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const partitions = new Map(
    (topics.find(({ name }) => name === topic)?.partitions ?? []).map((one) => [
      one.partitionId,
      { leader: one.leader >= 0, replicas: one.replicas.length, inSync: one.isr.length },
    ]),
  );
  const { groups } = await settled(() => admin.describeGroups([group]));
  const [found] = groups;
  const members = new Map<number, number>();
  // By name, so that a member keeps its number from one look to the next.
  const sorted = (found?.members ?? []).toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  for (const [index, { memberAssignment }] of sorted.entries()) {
    for (const partition of assignedTo(memberAssignment, topic)) members.set(partition, index + 1);
  }
  return { partitions, members, groupState: found?.state ?? 'Unknown' };
}

function assignedTo(assignment: Buffer, topic: string): readonly number[] {
  if (assignment.length === 0) return [];
  return kafkajs.AssignerProtocol.MemberAssignment.decode(assignment)?.assignment[topic] ?? [];
}
