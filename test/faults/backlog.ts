import { sql } from 'drizzle-orm';
import { sleep } from '../../shared/lifecycle.ts';
import { messagesIn } from '../helpers/queues.ts';
import { createPipeline, eventually, type Servers } from '../helpers/pipeline.ts';
import { preloadQueue, preloadTopic } from '../helpers/preload.ts';

const mib = 1_048_576;

/** Peak resident memory of a writer that works off a backlog on the raw topic, MiB. */
export async function writerMemory(servers: Servers, records: number): Promise<number> {
  await using pipeline = await createPipeline(servers, { partitions: 8 });
  await preloadTopic(pipeline, records);
  const writer = await pipeline.start('writer');
  await eventually(
    'backlog written',
    async () => {
      if (writer.ended !== undefined) throw new Error(`the writer ended with ${writer.ended}`);
      const { rows } = await pipeline.admin.execute<{ inserted: number }>(
        sql`select coalesce(sum(inserted), 0)::integer as inserted from ledger`,
      );
      return (rows[0]?.inserted ?? 0) >= records;
    },
    900_000,
  );
  return (await writer.peakMemory()) / mib;
}

/** Peak resident memory of a connector that works off a backlog in the queue, MiB; looks until `untilLeft` messages are left. */
export async function connectorMemory(servers: Servers, messages: number, untilLeft = 0): Promise<number> {
  await using pipeline = await createPipeline(servers, { partitions: 8 });
  await preloadQueue(pipeline, messages);
  const connector = await pipeline.start('connector');
  while ((await messagesIn(pipeline.queue)) > untilLeft) {
    if (connector.ended !== undefined) throw new Error(`the connector ended with ${connector.ended}`);
    await sleep(500);
  }
  return (await connector.peakMemory()) / mib;
}
