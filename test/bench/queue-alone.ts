import { SqsQueue } from '../../shared/sqs/sqs-queue.ts';
import { createPipeline } from '../helpers/pipeline.ts';
import { preloadQueue } from '../helpers/preload.ts';
import { testRegion } from '../helpers/queues.ts';
import { warmShare } from './connector-bench.ts';
import type { BenchServers } from './servers.ts';
import type { Sample } from './sink.ts';

/** As many as the connectors that are compared have. */
const receivers = 8;

/**
 * A full queue emptied by the connector's own client and by nothing else: received and deleted in tens, with no record made of it. **What the SQS
 * stand-in gives at best**, which no connector can be above.
 */
export async function measureQueueAlone(servers: BenchServers, messages: number): Promise<Sample> {
  await using pipeline = await createPipeline(servers, { partitions: 1 });
  await preloadQueue(pipeline, messages);
  process.env['AWS_ACCESS_KEY_ID'] ??= 'test';
  process.env['AWS_SECRET_ACCESS_KEY'] ??= 'test';
  const { queueUrl, endpoint } = pipeline.queue;
  using queue = new SqsQueue({ queueUrl, endpoint, region: testRegion, receivers });
  const { signal } = new AbortController();
  let received = 0;
  let deleted = 0;
  let warm: { readonly deleted: number; readonly at: number; readonly cpu: NodeJS.CpuUsage } | undefined;
  const remove = async (handles: readonly string[]) => {
    const failed = await queue.delete(handles);
    if (failed.length > 0) throw new Error('SQS kept a message');
    deleted += handles.length;
    if (deleted >= messages * warmShare) {
      warm ??= { deleted, at: performance.now(), cpu: process.cpuUsage() };
    }
  };
  const take = async () => {
    const removing: Promise<void>[] = [];
    while (received < messages) {
      const answer = await queue.receive({ max: 10, waitSeconds: 0, signal });
      received += answer.length;
      if (answer.length > 0) removing.push(remove(answer.map(({ receiptHandle }) => receiptHandle)));
    }
    await Promise.all(removing);
  };
  await Promise.all(Array.from({ length: receivers }, take));
  if (warm === undefined) throw new Error('nothing was measured');
  const seconds = (performance.now() - warm.at) / 1_000;
  const { user, system } = process.cpuUsage(warm.cpu);
  const measured = messages - warm.deleted;
  return { perSecond: measured / seconds, cpuMicros: (user + system) / measured };
}
