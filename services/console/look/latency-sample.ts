import type { Session } from '../../../db/client.ts';
import { newestInBlock } from '../../../db/queries/newest-in-block.ts';
import { sampleLatency } from '../../../db/queries/sample-latency.ts';
import type { Day } from '../../../shared/time.ts';

/** A page that Postgres keeps rows in. */
const blockBytes = 8_192;
/** Pages read of a partition: some 3,000 rows, a few milliseconds. */
const sampledBlocks = 120;
/** A page may be without rows: then the ones before it are asked. */
const looksBack = 4;

export interface LatencyRow {
  /** Unix seconds. */
  readonly at: number;
  readonly value: number;
  readonly weight: number;
}

/**
 * How long rows took that came after `sinceEpoch`, from a sample of a day's partition. **Nothing is scanned**: rows lie in the order in which they
 * came, so the page at which the hour begins is found by halving, and as many pages as {@link sampledBlocks} are read between it and the end. Rows
 * that were written anew (tokens, shredding) lie elsewhere, with the time at which they came first: those are left out.
 */
export async function sampleDay(
  session: Session,
  table: string,
  part: { readonly day: Day; readonly bytes: number },
  sinceEpoch: number,
): Promise<LatencyRow[]> {
  const end = Math.ceil(part.bytes / blockBytes);
  const newest = async (block: number): Promise<number | null> => {
    const { rows } = await session.execute<{ at: number | null }>(newestInBlock(table, part.day, block));
    return rows[0]?.at ?? null;
  };
  if (!(await endsAfter(newest, end, sinceEpoch))) return [];
  let from = 0;
  if (end > sampledBlocks) {
    let before = end;
    while (from < before) {
      const middle = Math.floor((from + before) / 2);
      if (((await newest(middle)) ?? 0) >= sinceEpoch) before = middle;
      else from = middle + 1;
    }
  }
  const blocks = spread(Math.min(from, Math.max(0, end - 1)), end);
  const { rows } = await session.execute(sampleLatency(table, part.day, blocks, sinceEpoch));
  const weight = (end - from) / blocks.length;
  return rows.map(({ at, seconds }) => ({ at, value: seconds, weight }));
}

/** Whether any of its last pages has a row that is young enough. The very last ones may have been added and not yet filled. */
async function endsAfter(
  newest: (block: number) => Promise<number | null>,
  end: number,
  sinceEpoch: number,
): Promise<boolean> {
  for (let block = end - 1; block >= Math.max(0, end - looksBack); block -= 1) {
    const at = await newest(block);
    if (at !== null) return at >= sinceEpoch;
  }
  return end > looksBack;
}

/** Evenly spread from `from` to before `end`; all of them when they are few. `spread(0, 3)` → 0, 1, 2. */
function spread(from: number, end: number): number[] {
  const count = Math.min(sampledBlocks, end - from);
  return Array.from({ length: count }, (_, i) => from + Math.floor((i * (end - from)) / count));
}
