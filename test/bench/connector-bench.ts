import { topicOffsets } from '../../shared/kafka/offsets.ts';
import { sleep } from '../../shared/lifecycle.ts';
import { createPipeline, type Pipeline } from '../helpers/pipeline.ts';
import { preloadQueue } from '../helpers/preload.ts';
import { messagesIn } from '../helpers/queues.ts';
import type { ServiceProcess } from '../helpers/service-process.ts';
import { testKafkaClient } from '../helpers/topics.ts';
import { watchOver } from './alive.ts';
import { openEveryRecord } from './open-sample.ts';
import { cpuSeconds } from './process-cost.ts';
import type { BenchServers } from './servers.ts';
import type { Sample } from './sink.ts';

/** What has gone by before it is measured: until then a process compiles itself and opens its connections. */
export const warmShare = 0.25;
/** Until which the rate is told: at the end some are left to wait for a timer, or, with the peers, for a visibility timeout of 30 s. */
const lateShare = 0.9;
/** Each look is a connection of its own, on the cores that are measured. */
const lookMs = 100;

/**
 * A program that moves a full queue to the topic, once it is warm: until every message is there and the queue is empty. The SQS stand-in shares the machine and takes
 * more of it than what is measured: compare CPU a message rather than rates. `check` reads the topic afterwards.
 */
export async function measureQueueToTopic(
  servers: BenchServers,
  messages: number,
  start: (pipeline: Pipeline) => Promise<ServiceProcess>,
  check: (pipeline: Pipeline, messages: number) => Promise<void>,
): Promise<Sample> {
  await using pipeline = await createPipeline(servers, { partitions: 8, env: { LOG_LEVEL: 'warn' } });
  await preloadQueue(pipeline, messages);
  const kafka = testKafkaClient(servers.kafkaBrokers);
  const published = async () => {
    const offsets = await topicOffsets(kafka, pipeline.rawTopic);
    return Number([...offsets.values()].reduce((sum, { high }) => sum + high, 0n));
  };
  const started = await start(pipeline);
  try {
    const alive = watchOver(started);
    let first = 0;
    while ((first = await published()) < messages * warmShare) {
      alive();
      await sleep(50);
    }
    const before = { at: performance.now(), cpu: cpuSeconds(started.pid) };
    let [count, seconds] = [first, 0];
    while (count < messages * lateShare) {
      alive();
      await sleep(lookMs);
      count = await published();
      seconds = (performance.now() - before.at) / 1_000;
    }
    if (count === first) throw new Error('too few messages to tell a rate: it takes some seconds');
    const perSecond = (count - first) / seconds;
    while ((await messagesIn(pipeline.queue)) > 0) {
      alive();
      await sleep(lookMs);
    }
    const cpu = cpuSeconds(started.pid) - before.cpu;
    const peakMiB = (await started.peakMemory()) / 1_048_576;
    await started.kill('SIGTERM');
    await check(pipeline, messages);
    const measured = messages - first;
    return { perSecond, cpuMicros: (cpu / measured) * 1e6, peakMiB };
  } finally {
    if (started.ended === undefined) await started.kill('SIGKILL');
  }
}

/** The connector on a full queue. */
export function measureConnector(
  servers: BenchServers,
  messages: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Sample> {
  return measureQueueToTopic(
    servers,
    messages,
    (pipeline) => pipeline.start('connector', env),
    openEveryRecord,
  );
}
