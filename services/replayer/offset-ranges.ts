import { PipelineError } from '../../shared/errors.ts';

/** Offsets of a partition, `to` excluded. */
export interface PartitionRange {
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
}

/**
 * Offsets as a person or a program writes them, both ends included as `sluice verify` prints them, one entry a line or separated by commas;
 * `#` begins a comment.
 *
 *     3:1024-2047      partition 3, offsets 1024 to 2047
 *     0:17             partition 0, offset 17
 *
 * @returns sorted and merged: ranges of one partition neither touch nor overlap.
 * @throws PipelineError USAGE, naming the line and not its contents
 */
export function parseOffsets(text: string): PartitionRange[] {
  const ranges: PartitionRange[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    for (const entry of line.replace(/#.*/, '').split(',')) {
      if (entry.trim() === '') continue;
      const found = /^\s*(\d{1,9}):(\d{1,18})(?:-(\d{1,18}))?\s*$/.exec(entry);
      const from = BigInt(found?.[2] ?? -1);
      const last = found?.[3] === undefined ? from : BigInt(found[3]);
      if (found === null || last < from) {
        throw new PipelineError('USAGE', `line ${index + 1} is not PARTITION:OFFSET or PARTITION:FIRST-LAST`);
      }
      ranges.push({ partition: Number(found[1]), from, to: last + 1n });
    }
  }
  return mergeRanges(ranges);
}

/** Ranges that touch or overlap become one; in the order of partitions and offsets. */
export function mergeRanges(ranges: readonly PartitionRange[]): PartitionRange[] {
  const merged: PartitionRange[] = [];
  for (const range of ranges.toSorted(inOrder)) {
    const last = merged.at(-1);
    if (last?.partition !== range.partition || range.from > last.to) merged.push(range);
    else if (range.to > last.to) merged.splice(-1, 1, { ...last, to: range.to });
  }
  return merged;
}

/** How many offsets they hold. */
export function countOffsets(ranges: readonly PartitionRange[]): bigint {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0n);
}

function inOrder(a: PartitionRange, b: PartitionRange): number {
  if (a.partition !== b.partition) return a.partition - b.partition;
  return a.from < b.from ? -1 : a.from > b.from ? 1 : 0;
}
