import type { Connection, Session } from '../../db/client.ts';
import { findDayKey } from '../../db/queries/find-day-key.ts';
import { insertDataKey } from '../../db/queries/insert-data-key.ts';
import { rowInserter } from '../../db/queries/insert-rows.ts';
import type { Tokenizer } from '../../shared/crypto/token.ts';
import { TransitSealer } from '../../shared/crypto/transit.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Publisher } from '../../shared/kafka/publisher.ts';
import { toDeadLetter } from '../../shared/streams/dead-letter.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Clock } from '../../shared/time.ts';
import type { TransitKeys } from '../../shared/vault/ports.ts';
import { DataKeys, type KeyStore } from './data-keys.ts';
import { encode, type DeadRecord, type Encoding } from './encode.ts';
import { BatchInserter } from './insert-batch.ts';
import type { Steps } from './process-batch.ts';

export interface StepParts<M> {
  readonly stream: Stream<M>;
  readonly topic: string;
  readonly connection: Connection;
  readonly deadLetters: Publisher<DeadRecord>;
  readonly transitKeys: TransitKeys;
  readonly tokenizer: Tokenizer;
  readonly clock: Clock;
  /** Who we are, in ledger and data keys: `host:pid`. */
  readonly writtenBy: string;
}

/** The writer's steps on real Postgres, Kafka and vault. `retireKeys` wipes the data keys when all is done. */
export function createSteps<M>(parts: StepParts<M>): Steps & { retireKeys(): void } {
  const { stream, topic, connection, writtenBy } = parts;
  const dataKeys = new DataKeys({
    store: keyStore(connection, writtenBy),
    table: stream.name,
    clock: parts.clock,
  });
  const encoding: Encoding<M> = {
    stream,
    topic,
    transit: new TransitSealer(parts.transitKeys),
    tokenizer: parts.tokenizer,
    dataKeys,
  };
  const inserter = new BatchInserter({ connection, rowsOf: rowInserter(stream), writtenBy });
  return {
    encode: (slices, verdicts) => encode(encoding, slices, verdicts),
    insert: (batch) => inserter.insert(batch),
    async publishDead(dead) {
      for (const one of dead) {
        const source = { topic, partition: one.partition, record: one.record };
        parts.deadLetters.push(toDeadLetter(source, one.reason, parts.clock()), one);
      }
      await parts.deadLetters.flush();
    },
    retireKeys: () => dataKeys.retireAll(),
  };
}

function keyStore(session: Session, createdBy: string): KeyStore {
  return {
    async dayPublicKey(day) {
      const { rows } = await session.execute<{ public_key: Buffer }>(findDayKey(day));
      return rows[0]?.public_key;
    },
    async insertDataKey(day, sealedDek) {
      const { rows } = await session.execute<{ dek_id: string }>(
        insertDataKey({ day, sealedDek, createdBy }),
      );
      const id = rows[0]?.dek_id;
      if (id === undefined) throw new PipelineError('INTERNAL', 'data_keys returned no id');
      return BigInt(id);
    },
  };
}
