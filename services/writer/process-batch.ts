import type { LedgerEntry } from '../../db/queries/insert-ledger.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { DeadRecord, EncodedBatch, Verdicts } from './encode.ts';
import type { Slice } from './record-queue.ts';

/** The steps a batch goes through. Each waits out outages by itself, so what they throw is final. */
export interface Steps {
  encode(slices: readonly Slice[], verdicts: Verdicts): Promise<EncodedBatch>;
  /** Resolves when every one is acknowledged by Kafka. */
  publishDead(dead: readonly DeadRecord[]): Promise<void>;
  /** @throws PipelineError DATABASE_REJECTED when some row is at fault: nothing was written. */
  insert(batch: EncodedBatch): Promise<LedgerEntry[]>;
}

/**
 * Makes an encoded batch durable: **first its dead letters, acknowledged, then rows and ledger in one transaction**; what a caller
 * commits to Kafka after that is in one place or the other. When Postgres refuses the batch for its data, it is cut in two until
 * only the culprit is left, which becomes a dead letter; its neighbours go in.
 */
export async function makeDurable(
  steps: Steps,
  slices: readonly Slice[],
  encoded: EncodedBatch,
  verdicts: Verdicts,
): Promise<LedgerEntry[]> {
  const unpublished = encoded.dead.filter(({ record }) => verdicts.get(record)?.published !== true);
  if (unpublished.length > 0) {
    await steps.publishDead(unpublished);
    for (const { record, reason } of unpublished) verdicts.set(record, { reason, published: true });
  }
  try {
    return await steps.insert(encoded);
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'DATABASE_REJECTED') throw error;
    if (encoded.partitions.length === 0)
      throw new PipelineError('INTERNAL', 'Postgres refused a ledger entry');
    const parts =
      encoded.partitions.length === 1 ? condemn(slices, encoded, verdicts, error) : halves(slices);
    const ledger: LedgerEntry[] = [];
    for (const part of parts) {
      ledger.push(...(await makeDurable(steps, part, await steps.encode(part, verdicts), verdicts)));
    }
    return ledger;
  }
}

/** The one row left is at fault: the same records again, but that one is dead. */
function condemn(
  slices: readonly Slice[],
  encoded: EncodedBatch,
  verdicts: Verdicts,
  error: PipelineError,
): (readonly Slice[])[] {
  const dead = new Set(encoded.dead.map(({ record }) => record));
  for (const { records } of slices) {
    for (const record of records) {
      if (dead.has(record)) continue;
      const detail = error.detail === undefined ? {} : { detail: error.detail };
      verdicts.set(record, {
        reason: { code: 'DATABASE_REJECTED', stage: 'insert', ...detail },
        published: false,
      });
    }
  }
  return [slices];
}

/** In record order, so that each half covers a contiguous range of offsets of every partition. */
function halves(slices: readonly Slice[]): [Slice[], Slice[]] {
  const total = slices.reduce((sum, slice) => sum + slice.records.length, 0);
  let room = Math.ceil(total / 2);
  const first: Slice[] = [];
  const second: Slice[] = [];
  for (const { partition, records } of slices) {
    const here = Math.min(room, records.length);
    room -= here;
    if (here > 0) first.push({ partition, records: records.slice(0, here) });
    if (here < records.length) second.push({ partition, records: records.slice(here) });
  }
  return [first, second];
}
