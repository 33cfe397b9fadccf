import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { partitionFor } from '../../../shared/kafka/partitioner.ts';
import type {
  OutgoingRecord,
  PartitionAck,
  PartitionBatch,
  RecordProducer,
} from '../../../shared/kafka/ports.ts';
import { Publisher, type PublisherOptions } from '../../../shared/kafka/publisher.ts';
import { settled, VirtualTime } from '../../helpers/virtual-time.ts';

const partitions = 4;
const unavailable = new PipelineError('KAFKA_UNAVAILABLE');
const tooLarge = new PipelineError('KAFKA_RECORD_TOO_LARGE');
const never = new AbortController().signal;

interface Request {
  readonly batches: readonly PartitionBatch[];
  /** Partitions not named are acknowledged. */
  answer(errors?: Record<number, Error>): void;
  resolve(acks: PartitionAck[]): void;
  reject(error: Error): void;
}

/** A producer whose every request waits to be answered by the test. */
function setUp(options: Partial<PublisherOptions<string>> = {}) {
  const requests: Request[] = [];
  const acked: string[] = [];
  const fatal: unknown[] = [];
  const time = new VirtualTime();
  const producer: RecordProducer = {
    partitionCount: async () => partitions,
    close: async () => undefined,
    send: (_, batches) => {
      const { promise, resolve, reject } = Promise.withResolvers<PartitionAck[]>();
      const answer = (errors: Record<number, Error> = {}) =>
        resolve(
          batches.map(({ partition }) => {
            const error = errors[partition];
            return error === undefined ? { partition, baseOffset: 1n } : { partition, error };
          }),
        );
      requests.push({ batches, answer, resolve, reject });
      return promise;
    },
  };
  const publisher = new Publisher<string>({
    producer,
    topic: 'topic',
    partitions,
    onAcked: (items) => acked.push(...items),
    onFatal: (error) => fatal.push(error),
    log: pino({ level: 'silent' }),
    random: () => 0.999,
    schedule: time.schedule,
    ...options,
  });
  const at = (index: number): Request => {
    const request = requests[index];
    if (request === undefined) throw new Error(`there are only ${requests.length} requests`);
    return request;
  };
  return { publisher, requests, at, acked, fatal, time };
}

const keys = new Map<number, Buffer>();
for (let i = 0; keys.size < partitions; i += 1) {
  const key = Buffer.from(`key-${i}`);
  keys.set(partitionFor(key, partitions), key);
}

function record(partition: number, value: string | Buffer = 'v'): OutgoingRecord {
  return { key: keys.get(partition) ?? Buffer.alloc(0), value: Buffer.from(value), timestampMs: 1 };
}

const values = (request: Request, partition: number) =>
  request.batches
    .find((batch) => batch.partition === partition)
    ?.records.map(({ value }) => value.toString());

describe('batches', () => {
  it('waits for no timer while nothing is out: what is pushed in one task goes at its end', async () => {
    const { publisher, requests, at, time } = setUp();
    publisher.push(record(0, 'a'), 'a');
    publisher.push(record(1, 'b'), 'b');
    expect(requests).toHaveLength(0);
    await settled();
    expect([values(at(0), 0), values(at(0), 1), time.pending]).toEqual([['a'], ['b'], 0]);
  });

  it('gathers records for the linger time while a request is out, all partitions into one request', async () => {
    const { publisher, requests, at, acked, time } = setUp();
    publisher.push(record(3, 'out'), 'out');
    await settled();
    publisher.push(record(0, 'a'), 'a');
    publisher.push(record(1, 'b'), 'b');
    await time.advance(4);
    publisher.push(record(0, 'c'), 'c');
    expect(requests).toHaveLength(1);
    await time.advance(1);
    expect(requests).toHaveLength(2);
    expect(values(at(1), 0)).toEqual(['a', 'c']);
    expect(values(at(1), 1)).toEqual(['b']);
    expect(acked).toEqual([]);
    at(0).answer();
    at(1).answer();
    await settled();
    expect(acked.toSorted()).toEqual(['a', 'b', 'c', 'out']);
    expect([publisher.records, publisher.bytes, time.pending]).toEqual([0, 0, 0]);
  });

  it('sends what has gathered as soon as nothing is out any more', async () => {
    const { publisher, requests, at } = setUp();
    publisher.push(record(0, 'a'), 'a');
    await settled();
    publisher.push(record(0, 'b'), 'b');
    publisher.push(record(1, 'c'), 'c');
    await settled();
    expect(requests).toHaveLength(1);
    at(0).answer();
    await settled();
    expect([values(at(1), 0), values(at(1), 1)]).toEqual([['b'], ['c']]);
  });

  it('gathers for the linger time though nothing is out, while there is no hurry', async () => {
    let hurry = false;
    const { publisher, requests, at, time } = setUp({ unhurried: () => !hurry });
    publisher.push(record(0, 'a'), 'a');
    await time.advance(4);
    publisher.push(record(0, 'b'), 'b');
    expect(requests).toHaveLength(0);
    await time.advance(1);
    expect(values(at(0), 0)).toEqual(['a', 'b']);
    publisher.push(record(0, 'c'), 'c');
    at(0).answer();
    await settled();
    expect(requests).toHaveLength(1);
    hurry = true;
    await time.advance(5);
    expect(values(at(1), 0)).toEqual(['c']);
    publisher.push(record(1, 'd'), 'd');
    at(1).answer();
    await settled();
    expect(values(at(2), 1)).toEqual(['d']);
    expect(time.pending).toBe(1);
  });

  it('gathers only what is pushed in one task when told not to linger', async () => {
    const { publisher, requests, at, time } = setUp({ lingerMs: 0 });
    publisher.push(record(0, 'a'), 'a');
    publisher.push(record(0, 'b'), 'b');
    expect(requests).toHaveLength(0);
    await settled();
    expect(values(at(0), 0)).toEqual(['a', 'b']);
    expect(time.pending).toBe(0);
  });

  it('sends a full batch at once, by number', () => {
    const { publisher, at } = setUp();
    for (let i = 0; i < 1_500; i += 1) publisher.push(record(2), String(i));
    expect(at(0).batches.map(({ records }) => records.length)).toEqual([1_000]);
  });

  it('sends a full batch at once, by bytes, and never a larger one', async () => {
    const { publisher, requests, at } = setUp({ maxBatchBytes: 1_000 });
    for (let i = 0; i < 10; i += 1) publisher.push(record(2, 'x'.repeat(200)), String(i));
    expect(at(0).batches.map(({ records }) => records.length)).toEqual([4]);
    at(0).answer();
    await settled();
    expect(requests).toHaveLength(2);
  });

  it('sends a record beyond the limit alone', async () => {
    const { publisher, requests, at } = setUp({ maxBatchBytes: 1_000 });
    publisher.push(record(2, 'small'), 'a');
    publisher.push(record(2, 'x'.repeat(5_000)), 'b');
    publisher.push(record(2, 'small'), 'c');
    for (let i = 0; i < 3; i += 1) {
      at(i).answer();
      await settled();
      if (i === 1) await publisher.close(AbortSignal.abort());
    }
    expect(requests.map(({ batches }) => batches[0]?.records.length)).toEqual([1, 1, 1]);
  });
});

describe('one batch out per partition', () => {
  it('holds a partition until its batch is acknowledged, and only that', async () => {
    const { publisher, requests, at, time } = setUp();
    publisher.push(record(0, 'a'), 'a');
    await time.advance(5);
    for (let i = 0; i < 3_000; i += 1) publisher.push(record(0, 'b'), 'b');
    publisher.push(record(1, 'c'), 'c');
    await time.advance(100);
    expect(requests).toHaveLength(2);
    expect(at(1).batches.map(({ partition }) => partition)).toEqual([1]);
    at(0).answer();
    await settled();
    expect(at(2).batches.map(({ records }) => records.length)).toEqual([1_000]);
  });
});

describe('a record without acknowledgement', () => {
  it('goes out again before anything pushed later', async () => {
    const { publisher, at, acked, time } = setUp();
    publisher.push(record(0, 'a'), 'a');
    await time.advance(5);
    publisher.push(record(0, 'b'), 'b');
    expect(publisher.outage).toBe(false);
    at(0).answer({ 0: unavailable });
    await settled();
    expect(publisher.outage).toBe(true);
    expect(acked).toEqual([]);
    await time.advance(50);
    expect(values(at(1), 0)).toEqual(['a']);
    at(1).answer();
    await settled();
    expect(publisher.outage).toBe(false);
    expect(acked).toEqual(['a']);
    expect(values(at(2), 0)).toEqual(['b']);
  });

  it('goes out again when the request was rejected or the answer lacks its partition', async () => {
    const { publisher, at, acked, time } = setUp();
    publisher.push(record(0, 'a'), 'a');
    await time.advance(5);
    at(0).reject(new Error('socket hang up'));
    await time.advance(50);
    at(1).resolve([{ partition: 3, baseOffset: 1n }]);
    await time.advance(100);
    expect(acked).toEqual([]);
    at(2).answer();
    await settled();
    expect(acked).toEqual(['a']);
  });

  it('neither hides nor holds up what the same request acknowledged', async () => {
    const { publisher, at, acked, time } = setUp();
    publisher.push(record(0, 'a'), 'a');
    publisher.push(record(1, 'b'), 'b');
    await time.advance(5);
    at(0).answer({ 0: unavailable });
    await settled();
    expect(acked).toEqual(['b']);
    await time.advance(45);
    publisher.push(record(1, 'c'), 'c');
    await time.advance(5);
    const later = [at(1), at(2)].map(({ batches }) => batches.map(({ partition }) => partition).join('+'));
    expect(later.toSorted()).toEqual(['0', '1']);
  });

  it('waits at most a second between attempts, however many there were', async () => {
    const { publisher, requests, at, time } = setUp();
    publisher.push(record(0, 'a'), 'a');
    await time.advance(5);
    for (let attempt = 0; attempt < 40; attempt += 1) {
      at(attempt).answer({ 0: unavailable });
      await time.advance(1_000);
    }
    expect(requests).toHaveLength(41);
    expect(Math.max(...time.delays)).toBeLessThanOrEqual(1_000);
    expect(Math.max(...time.delays)).toBeGreaterThan(900);
  });
});

describe('an error that stops', () => {
  it('is told once, ends sending and loses no item', async () => {
    const { publisher, requests, at, acked, fatal, time } = setUp();
    publisher.push(record(0, 'a'), 'a');
    publisher.push(record(1, 'b'), 'b');
    publisher.push(record(2, 'c'), 'c');
    await time.advance(5);
    const missing = new PipelineError('KAFKA_TOPIC_MISSING');
    const flushed = publisher.flush();
    at(0).answer({ 0: missing, 1: missing });
    await expect(flushed).rejects.toBe(missing);
    publisher.push(record(2, 'd'), 'd');
    await time.advance(10_000);
    expect(fatal).toEqual([missing]);
    expect(requests).toHaveLength(1);
    expect(acked).toEqual(['c']);
    expect((await publisher.close(never)).toSorted()).toEqual(['a', 'b', 'd']);
  });

  it('is what onAcked throws', async () => {
    const error = new Error('defect');
    const { publisher, at, fatal, time } = setUp({
      onAcked: () => {
        throw error;
      },
    });
    publisher.push(record(0), 'a');
    await time.advance(5);
    at(0).answer();
    await settled();
    expect(fatal).toEqual([error]);
  });
});

describe('a batch too large', () => {
  it('is halved until the broker takes it', async () => {
    const { publisher, requests, at, acked, fatal, time } = setUp();
    for (let i = 0; i < 10; i += 1) publisher.push(record(0, String(i)), String(i));
    await time.advance(5);
    for (let i = 0; i < requests.length; i += 1) {
      const size = at(i).batches[0]?.records.length ?? 0;
      at(i).answer(size > 3 ? { 0: tooLarge } : {});
      await settled();
    }
    expect(fatal).toEqual([]);
    expect(acked).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  it('stops when it is a single record', async () => {
    const { publisher, at, fatal, time } = setUp();
    publisher.push(record(0), 'a');
    await time.advance(5);
    at(0).answer({ 0: tooLarge });
    await settled();
    expect(fatal).toEqual([tooLarge]);
  });
});

describe('flush', () => {
  it('sends at once and resolves when all pushed before it is acknowledged', async () => {
    const { publisher, at, time } = setUp({ lingerMs: 60_000 });
    publisher.push(record(0), 'a');
    let done = false;
    const flushed = publisher.flush().then(() => {
      done = true;
    });
    publisher.push(record(0), 'later');
    publisher.push(record(1), 'later');
    at(0).answer({ 0: unavailable });
    await settled();
    at(1).answer();
    await time.advance(50);
    expect(done).toBe(false);
    expect(values(at(2), 0)).toEqual(['v']);
    at(2).answer();
    await flushed;
    expect(publisher.records).toBe(1);
  });

  it('resolves when nothing was pushed', async () => {
    await expect(setUp().publisher.flush()).resolves.toBeUndefined();
  });
});

describe('close', () => {
  it('sends what is left and returns nothing', async () => {
    const { publisher, at, acked, time } = setUp({ lingerMs: 60_000 });
    publisher.push(record(0), 'a');
    const closed = publisher.close(never);
    at(0).answer();
    expect(await closed).toEqual([]);
    expect(acked).toEqual(['a']);
    expect(time.pending).toBe(0);
    expect(() => publisher.push(record(0), 'b')).toThrow(PipelineError);
  });

  it('returns what an outage keeps back, when forced; no callback follows', async () => {
    const { publisher, at, acked, time } = setUp();
    publisher.push(record(0), 'a');
    publisher.push(record(1), 'b');
    await time.advance(5);
    publisher.push(record(0), 'c');
    const force = new AbortController();
    const closed = publisher.close(force.signal);
    await time.advance(1_000);
    force.abort();
    expect(await closed).toEqual(['a', 'c', 'b']);
    at(0).answer();
    await settled();
    expect(acked).toEqual([]);
    expect(time.pending).toBe(0);
  });

  it('is over at once when already forced', async () => {
    const { publisher } = setUp();
    publisher.push(record(0), 'a');
    expect(await publisher.close(AbortSignal.abort())).toEqual(['a']);
  });
});
