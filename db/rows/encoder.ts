import { TransitSealer } from '../../shared/crypto/transit.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { addDays, dayOf, horizon, type Clock } from '../../shared/time.ts';
import type { Peppers, TransitKeys } from '../../shared/vault/ports.ts';
import type { Session } from '../client.ts';
import { findSealingDay } from '../queries/find-sealing-day.ts';
import { insertDataKey } from '../queries/insert-data-key.ts';
import type { RowColumns } from '../queries/insert-rows.ts';
import { listTokenEpochs } from '../queries/list-token-epochs.ts';
import { DataKeys, type KeyStore } from './data-keys.ts';
import { encode, type EncodedBatch, type Encoding, type Slice, type Verdicts } from './encode.ts';
import { isRefusal } from './process-batch.ts';
import { TokenEpochs } from './token-epochs.ts';

export interface EncoderParts<M> {
  readonly stream: Stream<M>;
  readonly topic: string;
  readonly connection: Session;
  readonly transitKeys: TransitKeys;
  readonly peppers: Peppers;
  readonly clock: Clock;
  /** Who we are, in ledger and data keys: `host:pid`. */
  readonly writtenBy: string;
  /** A data key was made and stored. */
  readonly onDataKey?: () => void;
  /** Messages that become rows (default: all). */
  readonly wanted?: ((message: M) => boolean) | undefined;
  /** Nothing is to be stored: data keys are made up, and open nothing. */
  readonly dryRun?: boolean;
}

/** What makes rows of records, with the keys that it takes. */
export interface Encoder {
  /** @throws PipelineError of action `retry` when a key cannot be had now: nothing has been decided, call again. */
  encode(slices: readonly Slice[], verdicts: Verdicts): Promise<EncodedBatch>;
  /**
   * Runs what inserts a batch and learns from what it throws: tokens of epochs that are over are made anew the next time.
   * @throws what `insert` throws; PARTITION_ARCHIVED for a missing partition that nobody will make.
   */
  inserting<T>(batch: EncodedBatch, insert: () => Promise<T>): Promise<T>;
  /** An error of inserting these rows, when it is a row's own fault. Learns from it as {@link inserting} does. */
  readonly refusalOf: (error: unknown, rows: RowColumns) => PipelineError | undefined;
  /** Wipes the keys at once, and resolves when nothing is looked up any more. */
  retireKeys(): Promise<void>;
}

/** It is looked this often whether a key has had its time: a record that would make one look may not come. */
const watchMs = 1_000;

/** An encoder whose keys are in Postgres and the vault. */
export function openEncoder<M>(parts: EncoderParts<M>): Encoder {
  const { stream, topic, connection, clock, wanted } = parts;
  const dataKeys = new DataKeys({ store: keyStore(parts), table: stream.name, clock });
  const tokenEpochs = new TokenEpochs({
    list: async () => (await connection.execute(listTokenEpochs())).rows,
    peppers: parts.peppers,
    clock,
  });
  const transit = new TransitSealer(parts.transitKeys);
  const encoding: Encoding<M> = { stream, topic, transit, tokenEpochs, dataKeys, clock, wanted };
  const meaningOf = (error: unknown, rows: RowColumns): unknown => {
    if (!(error instanceof PipelineError)) return error;
    if (error.code === 'TOKENS_CHANGED') tokenEpochs.expire();
    // Before the horizon nobody will make a partition: a day that left since its key was looked at, or was dropped by hand.
    const horizonStart = addDays(dayOf(clock()), -horizon.daysBack);
    const old = rows.createDate.days().some((day) => day < horizonStart);
    return error.code === 'PARTITION_MISSING' && old ? new PipelineError('PARTITION_ARCHIVED') : error;
  };
  let looking: Promise<unknown> | undefined;
  const watch = setInterval(() => {
    dataKeys.retireExpired();
    // What cannot be looked up now is looked up a second later; the hour's limit holds meanwhile.
    looking ??= Promise.allSettled([dataKeys.recheck(), tokenEpochs.recheck(), transit.tend()]).finally(
      () => {
        looking = undefined;
      },
    );
  }, watchMs).unref();
  return {
    encode: (slices, verdicts) => encode(encoding, slices, verdicts),
    async inserting(batch, insert) {
      try {
        return await insert();
      } catch (error) {
        throw meaningOf(error, batch.rows);
      }
    },
    refusalOf: (error, rows) => {
      const meaning = meaningOf(error, rows);
      return isRefusal(meaning) ? meaning : undefined;
    },
    async retireKeys() {
      clearInterval(watch);
      dataKeys.retireAll();
      tokenEpochs.retireAll();
      transit.forgetAll();
      await looking;
    },
  };
}

function keyStore<M>({ connection, stream, writtenBy, onDataKey, dryRun }: EncoderParts<M>): KeyStore {
  return {
    async dayKey(day) {
      const { rows } = await connection.execute(findSealingDay(stream.name, day));
      const [found] = rows;
      if (found === undefined) return undefined;
      return { publicKey: found.public_key, destroyed: found.destroyed, archived: found.archived };
    },
    async insertDataKey(day, sealedDek) {
      if (dryRun === true) return 0n;
      const key = { day, sealedDek, createdBy: writtenBy };
      const { rows } = await connection.execute<{ dek_id: string }>(insertDataKey(key));
      const id = rows[0]?.dek_id;
      if (id === undefined) throw new PipelineError('INTERNAL', 'data_keys returned no id');
      onDataKey?.();
      return BigInt(id);
    },
  };
}
