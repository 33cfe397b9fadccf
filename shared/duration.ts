const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `"30s"`, `"15m"`, `"1h"`, `"1d"` in milliseconds; undefined for anything else, below a second, and above `maxMs`. */
export function durationMs(text: string, maxMs: number): number | undefined {
  const [, count, unit] = /^([1-9]\d{0,5})(s|m|h|d)$/.exec(text) ?? [];
  const unitMs = unitsMs[unit ?? ''];
  if (unitMs === undefined) return undefined;
  const ms = Number(count) * unitMs;
  return ms <= maxMs ? ms : undefined;
}
