import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { LedgerEntry } from '../../../db/queries/insert-ledger.ts';
import type { DeadRecord, EncodedBatch } from '../../../db/rows/encode.ts';
import type { Steps } from '../../../db/rows/process-batch.ts';
import { DeadRatio } from '../../../services/writer/dead-ratio.ts';
import { runWriter } from '../../../services/writer/writer.ts';
import { PipelineError } from '../../../shared/errors.ts';
import { Health } from '../../../shared/health/health.ts';
import { sleep } from '../../../shared/lifecycle.ts';
import { FakeKafka } from '../../helpers/fake-kafka.ts';
import { rowColumns, texts, textsOf } from '../../helpers/row-columns.ts';

const topic = 'raw';
const groupId = 'writers';
const limits = { maxRecords: 7, maxBytes: 1e6, lingerMs: 0, queueBytes: 20_000 };
const log = pino({ level: 'silent' });

function classify(error: unknown): PipelineError {
  return error instanceof PipelineError ? error : new PipelineError('INTERNAL');
}

/** A Postgres that knows which offsets are durable, and checks nothing is committed to Kafka before. */
class FakeStore implements Steps {
  readonly durable = new Set<string>();
  readonly ledger: LedgerEntry[] = [];
  /** Awaited before a batch becomes durable. */
  gate: () => Promise<void> = async () => {};

  async encode(slices: Parameters<Steps['encode']>[0]): Promise<EncodedBatch> {
    const ledger = slices.map(({ partition, records }) => ({
      topic,
      partition,
      firstOffset: records[0]?.offset ?? 0n,
      lastOffset: records.at(-1)?.offset ?? 0n,
      read: records.length,
      inserted: records.length,
      duplicate: 0,
      dead: 0,
      unknownFields: 0,
    }));
    const eventId = slices.flatMap(({ partition, records }) =>
      records.map(({ offset }) => `${partition}/${offset}`),
    );
    const rows = rowColumns({ eventId: texts(...eventId) });
    return { rows, partitions: eventId.map(() => 0), dead: [], filtered: [], ledger };
  }

  async publishDead(): Promise<void> {}

  async insert(batch: EncodedBatch): Promise<LedgerEntry[]> {
    await this.gate();
    for (const id of textsOf(batch.rows.eventId)) this.durable.add(id);
    this.ledger.push(...batch.ledger);
    return [...batch.ledger];
  }

  async refused(): Promise<never[]> {
    return [];
  }
}

function setUp(records: number, partitions = 3) {
  const kafka = new FakeKafka();
  kafka.createTopic(topic, partitions);
  for (let i = 0; i < records; i++) {
    const record = { key: Buffer.from(randomUUID()), value: Buffer.alloc(20), timestampMs: 1 };
    kafka.append(topic, i % partitions, [record]);
  }
  const store = new FakeStore();
  const start = (steps: Steps = store, deadRatio?: DeadRatio, health?: Health) => {
    const stop = new AbortController();
    const force = new AbortController();
    const done = runWriter(
      {
        consumer: kafka.consumer({ topic, groupId, maxBatchRecords: 5 }),
        steps,
        limits,
        log,
        classify,
        ...(deadRatio === undefined ? {} : { deadRatio }),
        ...(health === undefined ? {} : { health }),
      },
      { stop: stop.signal, force: force.signal },
    );
    done.catch(() => undefined);
    return { stop: () => stop.abort(), force: () => force.abort(), done };
  };
  /** No committed offset may pass a record that is not durable. */
  const violations = () =>
    [...kafka.committed(groupId)].filter(([partition, next]) => {
      for (let offset = 0n; offset < next; offset++)
        if (!store.durable.has(`${partition}/${offset}`)) return true;
      return false;
    });
  return { kafka, store, start, violations };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

describe('runWriter', () => {
  test('writes everything, commits everything it wrote when it stops', async () => {
    const { kafka, store, start } = setUp(100);
    const writer = start();
    await until(() => store.durable.size === 100);
    writer.stop();
    await writer.done;
    expect(kafka.committed(groupId)).toEqual(
      new Map([
        [0, 34n],
        [1, 33n],
        [2, 33n],
      ]),
    );
  });

  test('commits no offset before its rows are durable, and none at all while Postgres is down', async () => {
    const { kafka, store, start, violations } = setUp(60);
    let down = true;
    store.gate = async () => {
      if (down) throw new PipelineError('DATABASE_UNAVAILABLE');
    };
    const writer = start();
    await sleep(300);
    expect(kafka.committed(groupId).size).toBe(0);
    down = false;
    await until(() => store.durable.size === 60);
    writer.stop();
    await writer.done;
    expect(violations()).toEqual([]);
    expect(kafka.committed(groupId).size).toBe(3);
  });

  test('members that come and go lose nothing and never commit ahead', async () => {
    const { kafka, store, start, violations } = setUp(200, 4);
    store.gate = () => sleep(2);
    const writers = [start()];
    for (let i = 0; i < 4; i++) {
      await sleep(20);
      writers.push(start());
      expect(violations()).toEqual([]);
      await sleep(20);
      const leaving = writers.shift();
      leaving?.stop();
      await leaving?.done;
      expect(violations()).toEqual([]);
    }
    await until(() => store.durable.size === 200);
    // What a member that went had not yet committed is read again, and then committed.
    await until(() => [0, 1, 2, 3].every((partition) => kafka.committed(groupId).get(partition) === 50n));
    for (const writer of writers) writer.stop();
    await Promise.all(writers.map(({ done }) => done));
    expect(violations()).toEqual([]);
    expect(kafka.committed(groupId)).toEqual(new Map([0, 1, 2, 3].map((partition) => [partition, 50n])));
  });

  test('an error of action stop ends it, and what was not written is not committed', async () => {
    const { kafka, store, start } = setUp(30);
    store.gate = async () => {
      throw new PipelineError('DATABASE_FORBIDDEN');
    };
    const writer = start();
    await expect(writer.done).rejects.toMatchObject({ code: 'DATABASE_FORBIDDEN' });
    expect(kafka.committed(groupId).size).toBe(0);
  });

  test('a stop during an outage waits for it until forced, then ends without an error', async () => {
    const { kafka, store, start } = setUp(30);
    store.gate = async () => {
      throw new PipelineError('DATABASE_UNAVAILABLE');
    };
    const writer = start();
    await sleep(50);
    writer.stop();
    let ended = false;
    void writer.done.then(() => {
      ended = true;
    });
    await sleep(100);
    expect(ended).toBe(false);
    writer.force();
    await writer.done;
    expect(kafka.committed(groupId).size).toBe(0);
  });

  test('an outage of keys does not hold up a stop', async () => {
    const { store, start } = setUp(30);
    const writer = start({
      publishDead: () => store.publishDead(),
      insert: (batch) => store.insert(batch),
      refused: () => store.refused(),
      encode: async () => {
        throw new PipelineError('KEY_MISSING');
      },
    });
    await sleep(50);
    writer.stop();
    await writer.done;
    expect(store.durable.size).toBe(0);
  });

  test('too many dead letters end it before they are published, nothing of their batch is committed, and it goes on from there', async () => {
    const { kafka, store, start } = setUp(60, 1);
    const published: bigint[] = [];
    let broken = true;
    const steps: Steps = {
      encode: async (slices) => {
        const batch = await store.encode(slices);
        const dead: DeadRecord[] = slices.flatMap(({ partition, records }) =>
          records
            .filter(({ offset }) => broken && offset >= 30n)
            .map((record) => ({ partition, record, reason: { code: 'APP_VERSION', stage: 'parse' } })),
        );
        return { ...batch, dead };
      },
      publishDead: async (dead) => {
        published.push(...dead.map(({ record }) => record.offset));
      },
      insert: (batch) => store.insert(batch),
      refused: () => store.refused(),
    };
    const breaker = () => new DeadRatio({ maxRatio: 0.2, windowRecords: 30, minRecords: 10 });
    await expect(start(steps, breaker()).done).rejects.toMatchObject({ code: 'DEAD_LETTER_RATE' });
    const committed = kafka.committed(groupId).get(0) ?? 0n;
    expect(committed).toBeGreaterThanOrEqual(30n);
    expect(committed).toBeLessThan(45n);
    expect(published.every((offset) => offset < committed)).toBe(true);

    broken = false;
    const again = start(steps, breaker());
    await until(() => store.durable.size === 60);
    again.stop();
    await again.done;
    expect(kafka.committed(groupId)).toEqual(new Map([[0, 60n]]));
  });

  test('a write that hangs is work that stands still, an empty topic is not', async () => {
    const { store, start } = setUp(7, 1);
    const health = new Health('writer');
    const released = Promise.withResolvers<void>();
    let hanging = false;
    store.gate = () => {
      hanging = true;
      return released.promise;
    };
    const writer = start(store, undefined, health);
    const state = () => health.live().body['loops'];
    await until(() => hanging);
    expect(state()).toMatchObject([{ name: 'the writer', state: 'working' }]);
    released.resolve();
    await until(() => store.durable.size === 7);
    await sleep(10);
    expect(state()).toMatchObject([{ state: 'waiting for work' }]);
    expect(health.ready()).toMatchObject({ ok: true });
    writer.stop();
    await writer.done;
  });
});
