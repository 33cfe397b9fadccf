import type { Percentiles } from './snapshot.ts';

/** A measured value, and how many it stands for. */
export interface Weighted {
  readonly value: number;
  readonly weight: number;
}

/** The smallest value that at least this share lies at or below, each counted by its weight. Null of nothing. */
export function percentilesOf(samples: readonly Weighted[]): Percentiles | null {
  const sorted = samples.toSorted((a, b) => a.value - b.value);
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  const at = (share: number): number => {
    let below = 0;
    for (const { value, weight } of sorted) {
      below += weight;
      // Sums of weights are a little off in the last digits.
      if (below >= share * total * (1 - 1e-9)) return value;
    }
    return sorted.at(-1)?.value ?? 0;
  };
  return sorted.length === 0 ? null : { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
