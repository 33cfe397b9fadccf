import type { LedgerEntry } from '../queries/insert-ledger.ts';
import { PipelineError } from '../../shared/errors.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import type { DeadRecord, EncodedBatch, Slice, Verdicts } from './encode.ts';
import type { RefusedRow } from './refused-rows.ts';

/** The steps a batch goes through. Each waits out outages by itself, so what they throw is final. */
export interface Steps {
  encode(slices: readonly Slice[], verdicts: Verdicts): Promise<EncodedBatch>;
  /** Resolves when every one is acknowledged by Kafka. */
  publishDead(dead: readonly DeadRecord[]): Promise<void>;
  /** @throws PipelineError DATABASE_REJECTED or PARTITION_ARCHIVED when some row is at fault, TOKENS_CHANGED: nothing was written. */
  insert(batch: EncodedBatch): Promise<LedgerEntry[]>;
  /** Which of these rows are at fault. Writes nothing. @throws PipelineError TOKENS_CHANGED */
  refused(batch: EncodedBatch, range: { readonly from: number; readonly to: number }): Promise<RefusedRow[]>;
}

/** Rows searched for culprits at once: of so many, if all were, the last is found in a second. */
const searchRows = 1_000;

/**
 * Makes an encoded batch durable: **first its dead letters, acknowledged, then rows and ledger in one transaction**; what a caller
 * commits to Kafka after that is in one place or the other. When Postgres refuses the batch for its data, the culprits are searched for
 * and become dead letters, all at once; their neighbours go in. Tokens of epochs that are over are made anew.
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
    if (!isRefusal(error) && !isTokensChanged(error)) throw error;
    if (isRefusal(error) && !(await condemn(steps, slices, encoded, verdicts))) {
      return makeHalvesDurable(steps, slices, verdicts, error);
    }
  }
  return makeDurable(steps, slices, await steps.encode(slices, verdicts), verdicts);
}

/** A row's own fault: no waiting mends it. */
export function isRefusal(error: unknown): error is PipelineError {
  return (
    error instanceof PipelineError &&
    (error.code === 'DATABASE_REJECTED' || error.code === 'PARTITION_ARCHIVED')
  );
}

function isTokensChanged(error: unknown): boolean {
  return error instanceof PipelineError && error.code === 'TOKENS_CHANGED';
}

/** Gives every row that is at fault its verdict. False when there is none. */
async function condemn(
  steps: Steps,
  slices: readonly Slice[],
  encoded: EncodedBatch,
  verdicts: Verdicts,
): Promise<boolean> {
  const records = recordsOfRows(slices, encoded);
  let found = false;
  for (let from = 0; from < records.length; from += searchRows) {
    const range = { from, to: Math.min(from + searchRows, records.length) };
    const refused = await steps.refused(encoded, range).catch((error: unknown) => {
      if (isTokensChanged(error)) return undefined;
      throw error;
    });
    if (refused === undefined) return true;
    for (const { row, refusal } of refused) {
      const record = records[row];
      if (record === undefined) throw new PipelineError('INTERNAL', 'a refused row has no record');
      const code = refusal.code === 'PARTITION_ARCHIVED' ? refusal.code : 'DATABASE_REJECTED';
      const detail = refusal.detail === undefined ? {} : { detail: refusal.detail };
      verdicts.set(record, { reason: { code, stage: 'insert', ...detail }, published: false });
      found = true;
    }
  }
  return found;
}

/** Row i is of the i-th record that is neither dead nor unwanted. */
function recordsOfRows(slices: readonly Slice[], { dead, filtered }: EncodedBatch): IncomingRecord[] {
  const known = new Set([...dead, ...filtered].map(({ record }) => record));
  return slices.flatMap(({ records }) => records.filter((record) => !known.has(record)));
}

/** No row alone is at fault, but all together are refused: smaller ones may not be. */
async function makeHalvesDurable(
  steps: Steps,
  slices: readonly Slice[],
  verdicts: Verdicts,
  refusal: PipelineError,
): Promise<LedgerEntry[]> {
  if (countRecords(slices) < 2) {
    const why = refusal.detail === undefined ? '' : ` (${refusal.detail})`;
    throw new PipelineError('INTERNAL', `Postgres refused a ledger entry${why}`);
  }
  const ledger: LedgerEntry[] = [];
  for (const part of halves(slices)) {
    ledger.push(...(await makeDurable(steps, part, await steps.encode(part, verdicts), verdicts)));
  }
  return ledger;
}

/** In record order, so that each half covers a contiguous range of offsets of every partition. */
function halves(slices: readonly Slice[]): [Slice[], Slice[]] {
  let room = Math.ceil(countRecords(slices) / 2);
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

function countRecords(slices: readonly Slice[]): number {
  return slices.reduce((sum, { records }) => sum + records.length, 0);
}
