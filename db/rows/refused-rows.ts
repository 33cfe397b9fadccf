import type { PipelineError } from '../../shared/errors.ts';

/** A row that Postgres does not take, and why. */
export interface RefusedRow {
  /** Its place in the batch. */
  readonly row: number;
  readonly refusal: PipelineError;
}

/** Where more than one row in so many is refused, trying each costs less than halving. */
const sparse = 4;

/**
 * Finds by halving which of the rows `from` … `to` (excluded) are refused, given what happens to any run of them: one culprit among n
 * takes about 2 log₂ n tries; where many are refused, n take n. In order.
 *
 * 8 rows, the fourth at fault: tried 0–8, 0–4, 0–2, 2–4, 2–3, 3–4, 4–8.
 */
export async function refusedRows(
  { from, to }: { readonly from: number; readonly to: number },
  attempt: (from: number, to: number) => Promise<PipelineError | undefined>,
): Promise<RefusedRow[]> {
  const refusal = await attempt(from, to);
  if (refusal === undefined) return [];
  if (to - from === 1) return [{ row: from, refusal }];
  const middle = from + Math.ceil((to - from) / 2);
  const found = await refusedRows({ from, to: middle }, attempt);
  const step = found.length * sparse > middle - from ? 1 : to - middle;
  for (let row = middle; row < to; row += step) {
    found.push(...(await refusedRows({ from: row, to: row + step }, attempt)));
  }
  return found;
}
