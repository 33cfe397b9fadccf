/** A UTC date as `YYYY-MM-DD`: the day of an event, of its partition and of its keys. */
export type Day = string;

/** Injected wherever time matters, so that tests can carry it over midnight. Milliseconds since the epoch. */
export type Clock = () => number;

export const msPerDay = 86_400_000;

/** Days since 1970-01-01, rounding down: `dayNumber(-1)` is −1. */
export function dayNumber(epochMs: number): number {
  return Math.floor(epochMs / msPerDay);
}

/** `dayOf(1764000000000)` → `"2025-11-24"`. */
export function dayOf(epochMs: number): Day {
  return new Date(epochMs).toISOString().slice(0, 10);
}

/** `addDays("2026-02-28", 1)` → `"2026-03-01"`. */
export function addDays(day: Day, days: number): Day {
  return dayOf(Date.parse(`${day}T00:00:00Z`) + days * msPerDay);
}

/**
 * Partitions and keys are made for D−14 … D+7: SQS keeps a message at most 14 days, so none can arrive that is older,
 * and a week ahead survives a maintenance job that fails over a long weekend.
 */
export const horizon = { daysBack: 14, daysAhead: 7 } as const;

/** Every day of the horizon around `today`, oldest first (22 of them). */
export function horizonDays(today: Day): Day[] {
  return Array.from({ length: horizon.daysBack + horizon.daysAhead + 1 }, (_, i) =>
    addDays(today, i - horizon.daysBack),
  );
}

/** The day that a person wrote, or undefined when it is none: `"2026-02-30"` is not. */
export function parseDay(text: string): Day | undefined {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return undefined;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(ms) || dayOf(ms) !== text ? undefined : text;
}

/**
 * The time that a person wrote, in milliseconds: a day (its beginning, UTC), or date and time with `Z` or an offset. Undefined when it is none, or
 * has no zone.
 *
 *     2026-11-24 · 2026-11-24T08:00Z · 2026-11-24T08:00:00.5+01:00
 */
export function parseTime(text: string): number | undefined {
  if (text.length === 10) return parseDay(text) === undefined ? undefined : Date.parse(`${text}T00:00:00Z`);
  const shape = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (shape?.[1] === undefined || parseDay(shape[1]) === undefined) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
