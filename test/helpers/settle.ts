import { sql } from 'drizzle-orm';
import { topicOffsets } from '../../shared/kafka/offsets.ts';
import { eventually, type Pipeline } from './pipeline.ts';
import { messagesIn } from './queues.ts';
import { testKafkaClient } from './topics.ts';

/**
 * Waits until the queue is empty and everything on the raw topic is in the ledger, **without a gap**: a batch may be written while the
 * one before it is still being cut to find what Postgres refuses.
 */
export async function settled(pipeline: Pipeline, withinMs = 180_000): Promise<void> {
  const kafka = testKafkaClient(pipeline.kafkaBrokers);
  await eventually(
    'queue empty and topic read',
    async () => {
      if ((await messagesIn(pipeline.queue)) > 0) return false;
      const ends = await topicOffsets(kafka, pipeline.rawTopic);
      const written = await writtenWithoutGap(pipeline);
      return [...ends].every(([partition, { high }]) => (written.get(partition) ?? 0n) >= high);
    },
    withinMs,
  );
}

/** The next offset after the first run of ledger entries of each partition. */
async function writtenWithoutGap({ admin }: Pipeline): Promise<ReadonlyMap<number, bigint>> {
  const { rows } = await admin.execute<{ partition: number; next: string }>(sql`
    select partition, min(upper(run))::text as next
    from (
      select partition, unnest(range_agg(int8range(first_offset, last_offset, '[]'))) as run
      from ledger group by partition
    ) as runs group by partition`);
  return new Map(rows.map((row) => [row.partition, BigInt(row.next)]));
}
