import type { Day } from '../shared/time.ts';

/** `partitionName("user_logins", "2026-11-24")` → `"user_logins_20261124"`. */
export function partitionName(table: string, day: Day): string {
  return `${table}_${day.replaceAll('-', '')}`;
}
