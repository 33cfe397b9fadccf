import type { Session } from '../client.ts';
import { ledgerCoverage, type LedgerRun } from '../queries/ledger-coverage.ts';
import { tile, type Gap, type PartitionState, type Run } from './tiling.ts';

/** What verify asks of Kafka. */
export interface TopicReader {
  /** The first offset that is still there and the next to be written, by partition. */
  topicOffsets(): Promise<ReadonlyMap<number, { readonly low: bigint; readonly high: bigint }>>;
  /** The group's next offset, by partition. */
  committedOffsets(): Promise<ReadonlyMap<number, bigint | undefined>>;
}

export interface Counts {
  readonly read: number;
  readonly inserted: number;
  readonly duplicate: number;
  readonly dead: number;
  readonly unknownFields: number;
}

export interface PartitionProof extends Counts {
  readonly partition: number;
  readonly start: bigint;
  readonly end: bigint;
  readonly committed: bigint | undefined;
  readonly coveredTo: bigint;
  readonly lag: bigint;
  readonly gaps: readonly Gap[];
  /** Why this partition is not proven, in words. Empty: proven. */
  readonly problems: readonly string[];
}

export interface Proof {
  readonly topic: string;
  readonly group: string;
  readonly proven: boolean;
  readonly partitions: readonly PartitionProof[];
}

/**
 * Proves from the ledger and Kafka that the writers passed over no record of the topic: the ledger's ranges tile each partition,
 * each entry adds up, and nothing was committed that the ledger does not cover. With `complete`, that nothing is left to
 * read either. Safe while the pipeline runs: commits are read before the ledger and the ends of the topic after it, so that
 * what happens in between shows as lag and never as a loss.
 *
 * @throws PipelineError of the database or Kafka.
 */
export async function proveTopic(options: {
  readonly session: Session;
  readonly reader: TopicReader;
  readonly topic: string;
  readonly group: string;
  readonly complete: boolean;
}): Promise<Proof> {
  const committed = await options.reader.committedOffsets();
  const { rows } = await options.session.execute(ledgerCoverage(options.topic));
  const offsets = await options.reader.topicOffsets();
  const runsByPartition = Map.groupBy(rows, (run) => run.partition);
  const known = new Set([...offsets.keys(), ...runsByPartition.keys()]);
  const partitions = [...known]
    .sort((a, b) => a - b)
    .map((partition) => {
      const found = offsets.get(partition);
      const state = found && { start: found.low, end: found.high, committed: committed.get(partition) };
      return provePartition(partition, runsByPartition.get(partition) ?? [], state, options.complete);
    });
  return {
    topic: options.topic,
    group: options.group,
    proven: partitions.every(({ problems }) => problems.length === 0),
    partitions,
  };
}

function provePartition(
  partition: number,
  runs: readonly LedgerRun[],
  state: PartitionState | undefined,
  complete: boolean,
): PartitionProof {
  const { start, end, committed } = state ?? { start: 0n, end: 0n, committed: undefined };
  const tiling = tile(runs.map(runOf), { start, end, committed });
  const wrong = sum(runs, 'wrong');
  const problems = [
    ...(state === undefined ? ['the ledger knows this partition, the topic does not'] : []),
    ...(state !== undefined && tiling.beyondEnd ? ['the ledger reaches beyond the end of the topic'] : []),
    ...(wrong > 0 ? [`${wrong} ledger entries do not add up`] : []),
    ...tiling.gaps.filter((gap) => complete || gap.kind !== 'pending').map(describeGap),
    ...(complete && tiling.lag > 0n ? [`${tiling.lag} records not read yet`] : []),
  ];
  return {
    partition,
    start,
    end,
    committed,
    coveredTo: tiling.coveredTo,
    lag: tiling.lag,
    gaps: tiling.gaps,
    read: sum(runs, 'read'),
    inserted: sum(runs, 'inserted'),
    duplicate: sum(runs, 'duplicate'),
    dead: sum(runs, 'dead'),
    unknownFields: sum(runs, 'unknown_fields'),
    problems,
  };
}

/** `offsets 5–6 skipped: committed, but not in the ledger`. */
function describeGap({ kind, first, last }: Gap): string {
  const why = {
    expired: 'expired from the topic before they were read',
    skipped: 'committed, but not in the ledger',
    pending: 'not committed yet: the writer reads them again',
  };
  return `offsets ${first}–${last} ${kind}: ${why[kind]}`;
}

function runOf(run: LedgerRun): Run {
  return { first: BigInt(run.first_offset), last: BigInt(run.last_offset) };
}

function sum(
  runs: readonly LedgerRun[],
  column: 'read' | 'inserted' | 'duplicate' | 'dead' | 'unknown_fields' | 'wrong',
): number {
  return runs.reduce((total, run) => total + Number(run[column]), 0);
}
