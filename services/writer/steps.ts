import type { PreparingConnection } from '../../db/client.ts';
import { rowInserter } from '../../db/queries/insert-rows.ts';
import type { DeadRecord } from '../../db/rows/encode.ts';
import { openEncoder, type EncoderParts } from '../../db/rows/encoder.ts';
import type { Steps } from '../../db/rows/process-batch.ts';
import type { Publisher } from '../../shared/kafka/publisher.ts';
import { toDeadLetter } from '../../shared/streams/dead-letter.ts';
import { BatchInserter } from './insert-batch.ts';

export interface StepParts<M> extends EncoderParts<M> {
  readonly connection: PreparingConnection;
  readonly deadLetters: Publisher<DeadRecord>;
}

/** The writer's steps on real Postgres, Kafka and vault. `retireKeys` wipes the keys when all is done, at once, and resolves when nothing
 * is looked up any more. */
export function createSteps<M>(parts: StepParts<M>): Steps & { retireKeys(): Promise<void> } {
  const { stream, topic, connection, writtenBy, clock } = parts;
  const encoder = openEncoder(parts);
  const inserter = new BatchInserter({ connection, inserter: rowInserter(stream), writtenBy });
  return {
    encode: (slices, verdicts) => encoder.encode(slices, verdicts),
    insert: (batch) => encoder.inserting(batch, () => inserter.insert(batch)),
    refused: (batch, range) => inserter.refused(batch, range, encoder.refusalOf),
    async publishDead(dead) {
      for (const one of dead) {
        const source = { topic, partition: one.partition, record: one.record };
        parts.deadLetters.push(toDeadLetter(source, one.reason, clock()), one);
      }
      await parts.deadLetters.flush();
    },
    retireKeys: () => encoder.retireKeys(),
  };
}
