/*
 * Axes. Nothing here knows of a page.
 */

/** One, two and five of each power of ten: a latency axis that people can read. */
const steps = [1, 2, 5];

/**
 * From what to what a logarithmic axis goes that shows all of these, in whole steps and at least two powers of ten wide.
 * `bounds([0.3, 4])` → 0.1 … 10
 * @param {readonly number[]} values above zero
 * @returns {{ low: number; high: number }}
 */
export function bounds(values) {
  const seen = values.filter((value) => value > 0);
  if (seen.length === 0) return { low: 0.01, high: 1 };
  const low = Math.max(10 ** Math.floor(Math.log10(Math.min(...seen))), 0.001);
  const high = 10 ** Math.ceil(Math.log10(Math.max(...seen) * 1.0001));
  if (high / low > 99) return { low, high };
  // Wider downwards, where there is room: latencies are read by how far below the top they are.
  return high >= 0.1 ? { low: high / 100, high } : { low, high: low * 100 };
}

/**
 * Where a value lies on a logarithmic axis: 0 at its low end, 1 at its high one.
 * @param {number} value
 * @param {{ low: number; high: number }} axis
 */
export function logPlace(value, { low, high }) {
  const place = Math.log(Math.max(value, low) / low) / Math.log(high / low);
  return Math.min(1, Math.max(0, place));
}

/**
 * The powers of ten of an axis, its ends included.
 * @param {{ low: number; high: number }} axis
 */
export function ticks({ low, high }) {
  const found = [];
  for (let at = low; at <= high * 1.001; at *= 10) found.push(at);
  return found;
}

/**
 * The smallest of 1, 2, 5, 10, 20, 50 … that is not below `value`.
 * @param {number} value
 */
export function roundUp(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return (steps.find((step) => step * power >= value) ?? 10) * power;
}

/**
 * How fast arrows move, from 0 (nothing flows, or nobody knows) to 5: a step for each power of ten.
 * @param {number | null} perSecond
 */
export function speed(perSecond) {
  if (perSecond === null || perSecond < 0.05) return 0;
  return Math.min(5, 2 + Math.floor(Math.log10(Math.max(perSecond, 0.1))));
}
