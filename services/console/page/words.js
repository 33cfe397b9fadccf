/**
 * Figures for people, the same in the terminal and in the browser.
 *
 * `1,234` · `12` · `3.4` (below ten, one digit)
 * @param {number} value
 */
export function number(value) {
  const digits = Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

/**
 * Seconds as `80 ms` · `3.2 s` · `45 s` · `12 min` · `5 h` · `3 d`
 * @param {number} seconds
 */
export function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/**
 * `1.2 MB`, decimal.
 * @param {number} bytes
 */
export function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  const value = bytes / 1_000 ** step;
  return `${value >= 10 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}

/**
 * A rate: `312/s`, or `–` while it takes one more look.
 * @param {number | null} perSecond
 */
export function rate(perSecond) {
  return perSecond === null ? '–' : `${number(perSecond)}/s`;
}
