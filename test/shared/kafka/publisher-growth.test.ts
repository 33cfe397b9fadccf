import { pino } from 'pino';
import { expect, test } from 'vitest';
import { PipelineError } from '../../../shared/errors.ts';
import { partitionFor } from '../../../shared/kafka/partitioner.ts';
import type { RecordProducer } from '../../../shared/kafka/ports.ts';
import { Publisher } from '../../../shared/kafka/publisher.ts';
import { FakeKafka } from '../../helpers/fake-kafka.ts';
import { settled, VirtualTime } from '../../helpers/virtual-time.ts';

function setUp(partitions: number, countOf?: RecordProducer['partitionCount']) {
  const kafka = new FakeKafka();
  kafka.createTopic('topic', partitions);
  const time = new VirtualTime();
  const acked: number[] = [];
  const producer = kafka.producer();
  const publisher = new Publisher<number>({
    producer: { ...producer, partitionCount: countOf ?? ((topic) => producer.partitionCount(topic)) },
    topic: 'topic',
    partitions,
    onAcked: (items) => acked.push(...items),
    onFatal: (error) => expect.fail(String(error)),
    log: pino({ level: 'silent' }),
    schedule: time.schedule,
    clock: () => time.now,
  });
  const push = async (count: number) => {
    for (let i = 0; i < count; i++) {
      publisher.push({ key: Buffer.from(`key-${i}`), value: Buffer.from('v'), timestampMs: 1 }, i);
    }
    await time.advance(10);
  };
  return { kafka, time, publisher, acked, push };
}

const all = Array.from({ length: 100 }, (_, i) => i);

test('partitions that were added get their share within ten seconds of sending', async () => {
  const { kafka, time, acked, push } = setUp(2);
  kafka.partitions('topic').push([], []);
  await push(100);
  expect(kafka.partitions('topic').map((log) => log.length > 0)).toEqual([true, true, false, false]);
  await time.advance(10_000);
  await push(1);
  await settled();
  acked.length = 0;
  const before = kafka.partitions('topic').map((log) => log.length);
  await push(100);
  expect(acked.toSorted((a, b) => a - b)).toEqual(all);
  const added = kafka.partitions('topic').map((log) => log.length);
  const share = (partition: number) =>
    all.filter((i) => partitionFor(Buffer.from(`key-${i}`), 4) === partition).length;
  expect(added.map((length, i) => length - (before[i] ?? 0))).toEqual([0, 1, 2, 3].map(share));
});

test('what cannot be looked up now changes nothing, and is looked up again', async () => {
  let looks = 0;
  const { time, acked, push } = setUp(2, async () => {
    looks += 1;
    if (looks === 1) throw new PipelineError('KAFKA_UNAVAILABLE');
    return 1;
  });
  for (let round = 0; round < 3; round++) {
    await time.advance(10_000);
    await push(100);
  }
  expect(looks).toBe(3);
  expect(acked).toHaveLength(300);
});

test('records that wait when partitions are added are sent where they were to go, in their order', async () => {
  const { kafka, time, publisher, push } = setUp(1);
  await time.advance(10_000);
  await push(1);
  kafka.partitions('topic').push([]);
  for (const i of [1, 2, 3]) {
    publisher.push({ key: Buffer.from('same'), value: Buffer.from(String(i)), timestampMs: 1 }, i);
  }
  await time.advance(10_000);
  await push(1);
  await settled();
  publisher.push({ key: Buffer.from('same'), value: Buffer.from('4'), timestampMs: 1 }, 4);
  await time.advance(10);
  const same = kafka.partitions('topic').map((log) => log.filter(({ key }) => key.toString() === 'same'));
  const where = partitionFor(Buffer.from('same'), 2);
  expect(same[0]?.slice(0, 3).map(({ value }) => value.toString())).toEqual(['1', '2', '3']);
  expect(same[where]?.at(-1)?.value.toString()).toBe('4');
});
