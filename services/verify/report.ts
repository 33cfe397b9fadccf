import type { PartitionProof, Proof } from '../../db/proof/prove-topic.ts';

const columns = [
  'partition',
  'start',
  'end',
  'covered to',
  'committed',
  'lag',
  'read',
  'inserted',
  'duplicate',
  'dead',
] as const;

/** A table with a row a partition, then what is wrong and the verdict. */
export function formatProof(proof: Proof): string {
  const rows = [[...columns], ...proof.partitions.map(cells)];
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const table = rows.map((row) => row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  '));
  const problems = proof.partitions.flatMap(({ partition, problems }) =>
    problems.map((problem) => `partition ${partition}: ${problem}`),
  );
  const lag = proof.partitions.reduce((total, partition) => total + partition.lag, 0n);
  const verdict = proof.proven
    ? `proven: no record of ${proof.topic} was passed over; ${lag} not read yet`
    : `NOT proven: ${problems.length} problem(s) in ${proof.topic}`;
  return [...table, '', ...problems, verdict].map((line) => `${line}\n`).join('');
}

/** Offsets as decimal text, counts as numbers. */
export function jsonProof(proof: Proof): string {
  return JSON.stringify(proof, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}

function cells(proof: PartitionProof): string[] {
  return [
    proof.partition,
    proof.start,
    proof.end,
    proof.coveredTo,
    proof.committed ?? '–',
    proof.lag,
    proof.read,
    proof.inserted,
    proof.duplicate,
    proof.dead,
  ].map(String);
}
