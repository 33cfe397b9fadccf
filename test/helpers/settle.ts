import { sql } from 'drizzle-orm';
import { topicOffsets } from '../../shared/kafka/offsets.ts';
import { eventually, type Pipeline } from './pipeline.ts';
import { messagesIn } from './queues.ts';
import { testKafkaClient } from './topics.ts';

/** Waits until the queue is empty and everything on the raw topic is in the ledger. */
export async function settled(pipeline: Pipeline, withinMs = 180_000): Promise<void> {
  const kafka = testKafkaClient(pipeline.kafkaBrokers);
  await eventually(
    'queue empty and topic read',
    async () => {
      if ((await messagesIn(pipeline.queue)) > 0) return false;
      const ends = await topicOffsets(kafka, pipeline.rawTopic);
      const { rows } = await pipeline.admin.execute<{ partition: number; next: string }>(
        sql`select partition, (max(last_offset) + 1)::text as next from ledger group by partition`,
      );
      const next = new Map(rows.map((row) => [row.partition, BigInt(row.next)]));
      return [...ends].every(([partition, { high }]) => (next.get(partition) ?? 0n) >= high);
    },
    withinMs,
  );
}
