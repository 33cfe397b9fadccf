import fc from 'fast-check';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { partitionFor } from '../../../shared/kafka/partitioner.ts';
import { Publisher } from '../../../shared/kafka/publisher.ts';
import { FakeKafka, type Fate } from '../../helpers/fake-kafka.ts';
import { VirtualTime } from '../../helpers/virtual-time.ts';

const partitions = 3;

const fate = fc.constantFrom<Fate>('ack', 'ack', 'fail', 'lost');
const step = fc.record({
  pushes: fc.array(fc.record({ key: fc.nat(20), size: fc.nat(300) }), { maxLength: 12 }),
  waitMs: fc.nat(40),
});

/**
 * Whatever becomes of requests and in whichever order the answers come: what is acknowledged is in the log, what is not is
 * returned, and the first copies in each partition are in the order pushed.
 */
it('acknowledges what is written and returns the rest', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 15 }),
      fc.infiniteStream(fc.tuple(fate, fc.nat(80))),
      fc.boolean(),
      fc.infiniteStream(fc.boolean()),
      async (steps, fates, forced, unhurried) => {
        const kafka = new FakeKafka();
        kafka.createTopic('topic', partitions);
        const time = new VirtualTime();
        const out = new Set<number>();
        const producer = kafka.producer(async ({ partition }) => {
          expect(out.has(partition), 'one batch out per partition').toBe(false);
          out.add(partition);
          const [what, latencyMs] = fates.next().value ?? ['ack', 0];
          await new Promise<void>((resolve) => time.schedule(resolve, latencyMs));
          out.delete(partition);
          return what;
        });
        const acked: number[] = [];
        const publisher = new Publisher<number>({
          producer,
          topic: 'topic',
          partitions,
          lingerMs: 5,
          unhurried: () => unhurried.next().value === true,
          maxBatchRecords: 4,
          maxBatchBytes: 500,
          onAcked: (items) => acked.push(...items),
          onFatal: (error) => expect.fail(String(error)),
          log: pino({ level: 'silent' }),
          random: () => 0.5,
          schedule: time.schedule,
        });

        const pushed: number[][] = Array.from({ length: partitions }, () => []);
        let next = 0;
        for (const { pushes, waitMs } of steps) {
          for (const { key, size } of pushes) {
            const record = {
              key: Buffer.from(`k${key}`),
              value: Buffer.from(`${next} ${'x'.repeat(size)}`),
              timestampMs: 1,
            };
            publisher.push(record, next);
            pushed[partitionFor(record.key, partitions)]?.push(next);
            next += 1;
          }
          await time.advance(waitMs);
        }
        const force = new AbortController();
        const closing = publisher.close(force.signal);
        if (forced) force.abort();
        else await time.advance(10_000_000);
        const left = await closing;

        const logs = kafka
          .partitions('topic')
          .map((log) => log.map(({ value }) => Number.parseInt(String(value), 10)));
        const written = new Set(logs.flat());
        expect(
          acked.filter((item) => !written.has(item)),
          'acknowledged but not written',
        ).toEqual([]);
        expect(
          [...acked, ...left].toSorted((a, b) => a - b),
          'each item once',
        ).toEqual([...Array(next).keys()]);
        expect(left.length > 0 && !forced, 'kept back without being forced').toBe(false);
        logs.forEach((log, partition) => {
          const first = [...new Set(log)];
          expect(first, 'first copies in order').toEqual(pushed[partition]?.slice(0, first.length));
        });
      },
    ),
    { numRuns: 150 },
  );
});
