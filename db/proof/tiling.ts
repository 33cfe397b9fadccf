/** Offsets that the ledger covers without a hole, both ends included. Runs of a partition are disjoint and in order. */
export interface Run {
  readonly first: bigint;
  readonly last: bigint;
}

/** What Kafka says of a partition. Offsets are those of the next record: `start` = `end` is empty. */
export interface PartitionState {
  readonly start: bigint;
  readonly end: bigint;
  /** Undefined when the group has committed nothing. */
  readonly committed: bigint | undefined;
}

/**
 * Offsets that nobody has accounted for, both ends included.
 * - `expired`: gone from the topic, by retention, before they were read.
 * - `skipped`: still in the topic, but behind the committed offset: the writer will not come back to them.
 * - `pending`: still in the topic and ahead of the committed offset: the writer reads them (again) from there. Not a loss.
 */
export interface Gap {
  readonly kind: 'expired' | 'skipped' | 'pending';
  readonly first: bigint;
  readonly last: bigint;
}

export interface Tiling {
  /** The next offset after all that the ledger covers; `start` when it covers nothing. */
  readonly coveredTo: bigint;
  /** Records in the topic that the ledger does not reach yet. */
  readonly lag: bigint;
  readonly gaps: readonly Gap[];
  /** The ledger reaches beyond the end of the topic: the topic was made anew, or lost its end. */
  readonly beyondEnd: boolean;
}

/**
 * Do the runs tile a partition, from its first record to where the ledger ends? Records before `start` count too: what the ledger
 * does not know of them expired unread. Every partition starts at offset 0.
 *
 * `tile([{first: 0, last: 4}, {first: 7, last: 9}], {start: 0, end: 12, committed: 10})` → covered to 10, lag 2, one gap 5–6,
 * skipped. Committed at 5, the same gap is pending.
 */
export function tile(runs: readonly Run[], state: PartitionState): Tiling {
  const ledgerEnd = (runs.at(-1)?.last ?? -1n) + 1n;
  const committed = state.committed ?? 0n;
  // Up to here somebody has claimed to have read everything, or it cannot be read any more.
  const accountedTo = max(ledgerEnd, committed, state.start);
  const gaps: Gap[] = [];
  let next = 0n;
  for (const run of [...runs, { first: accountedTo, last: accountedTo }]) {
    if (run.first > next) gaps.push(...gapsIn(next, run.first - 1n, state.start, committed));
    next = run.last + 1n;
  }
  const coveredTo = max(ledgerEnd, state.start);
  return {
    coveredTo,
    lag: max(state.end - coveredTo, 0n),
    gaps,
    beyondEnd: ledgerEnd > state.end,
  };
}

/** Cuts a hole where the topic starts and where the group has committed. */
function gapsIn(first: bigint, last: bigint, start: bigint, committed: bigint): Gap[] {
  const skippedFrom = max(first, start);
  const pendingFrom = max(skippedFrom, committed);
  const pieces: Gap[] = [
    { kind: 'expired', first, last: min(last, start - 1n) },
    { kind: 'skipped', first: skippedFrom, last: min(last, committed - 1n) },
    { kind: 'pending', first: pendingFrom, last },
  ];
  return pieces.filter((piece) => piece.first <= piece.last);
}

function max(...values: [bigint, ...bigint[]]): bigint {
  return values.reduce((a, b) => (a > b ? a : b));
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
