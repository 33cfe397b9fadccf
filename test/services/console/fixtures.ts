import type { Looks, Part, PartitionLook } from '../../../services/console/look/snapshot.ts';

export const atMs = Date.UTC(2026, 10, 24, 12);

export function seen<T>(value: T): { ok: true; atMs: number; value: T } {
  return { ok: true, atMs, value };
}

export function unseen(code: 'KAFKA_UNAVAILABLE' | 'DATABASE_UNAVAILABLE'): Part<never> {
  return { ok: false, atMs, code, reason: 'ECONNREFUSED' };
}

export function partition(more: Partial<PartitionLook> = {}): PartitionLook {
  return {
    partition: 0,
    end: '100',
    committed: '100',
    lag: 0,
    oldestSeconds: null,
    publishedPerSecond: 10,
    readPerSecond: 10,
    member: 1,
    leader: true,
    replicas: 3,
    inSync: 3,
    ...more,
  };
}

const quick = { p50: 0.2, p95: 0.5, p99: 0.9 };

/** A pipeline that is well. */
export function well() {
  return {
    queue: seen({ visible: 0, inFlight: 4, delayed: 0 }),
    topic: seen({
      topic: 'raw',
      group: 'writers',
      groupState: 'Stable',
      members: 1,
      lag: 0,
      publishedPerSecond: 10,
      readPerSecond: 10,
      partitions: [partition()],
    }),
    rows: seen({
      rowsPerSecond: 312,
      minutes: [{ atMs, inserted: 10, duplicate: 0, dead: 0, latency: quick }],
      hour: quick,
      recent: quick,
      sampled: 100,
      truncated: false,
    }),
    days: seen({
      today: '2026-11-24',
      partitionDays: 7,
      keyDays: 7,
      days: [{ day: '2026-11-24', partition: true, bytes: 8192, key: 'there' as const, archive: null }],
      unfinishedShreds: 0,
      lastArchiveMs: null,
      lastWalMs: null,
      walFailures: null,
    }),
    deadLetters: seen({ topic: 'dead', open: 3, redriven: 0, lastHour: 0, codes: [], notRead: 0 }),
    ledger: seen({ proven: true, problems: [], read: 10, inserted: 10, duplicate: 0, dead: 0 }),
    services: [],
    sentPerSecond: 10,
  } satisfies Looks;
}
