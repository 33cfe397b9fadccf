/** `12.3 (11.9 … 13.1)`: the median, the lowest, the highest. */
export function spread(numbers: readonly number[], digits: number): string {
  const show = (n: number) => n.toLocaleString('en-US', { maximumFractionDigits: digits });
  return `${show(median(numbers))} (${show(Math.min(...numbers))} … ${show(Math.max(...numbers))})`;
}

/** Of an even number, the mean of the two in the middle. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] =
    sorted.length % 2 === 0 ? [sorted[middle - 1], sorted[middle]] : [sorted[middle], sorted[middle]];
  return (low + high) / 2;
}

/**
 * The interval that holds the median of what these are a sample of 19 times in 20 or more, whatever its distribution: between the kth lowest and the
 * kth highest, by the binomial distribution (that of the sign test). Below six numbers there is none: all of them are within.
 *
 *     eight numbers → the lowest and the highest; twelve → the third lowest and the third highest
 */
export function medianInterval(numbers: readonly number[]): [low: number, high: number] {
  const sorted = [...numbers].sort((a, b) => a - b);
  const n = sorted.length;
  let left = 0;
  // How likely it is that fewer than `left + 1` of n lie on one side of the median.
  let probability = 0.5 ** n;
  let tail = probability;
  while (tail <= 0.025) {
    left += 1;
    probability *= (n - left + 1) / left;
    tail += probability;
  }
  const outside = Math.max(0, left - 1);
  return [sorted[outside] ?? Number.NaN, sorted[n - 1 - outside] ?? Number.NaN];
}
