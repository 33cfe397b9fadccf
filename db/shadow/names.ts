import { PipelineError } from '../../shared/errors.ts';
import type { Day } from '../../shared/time.ts';
import { partitionName } from '../partition-name.ts';

/** Postgres cuts longer names off, without an error. */
const maxNameBytes = 63;

/** `shadowTable("user_logins", "fix-versions")` → `"user_logins_shadow_fix_versions"`. @throws PipelineError USAGE */
export function shadowTable(table: string, job: string): string {
  return checked(table, 'shadow', job);
}

/**
 * Where a day's own rows go when its shadow takes their place: `"user_logins_before_fix_versions_20261124"`.
 * @throws PipelineError USAGE
 */
export function beforeTable(table: string, job: string, day: Day): string {
  return partitionName(checked(table, 'before', job), day);
}

/** A job's name becomes part of names of tables, where `_20261124` would be a day. */
function checked(table: string, kind: 'shadow' | 'before', job: string): string {
  const name = `${table}_${kind}_${job.replaceAll('-', '_')}`;
  const fits = name.length + '_20261124'.length <= maxNameBytes;
  if (/^[a-z][a-z0-9_-]*$/.test(job) && !/[_-]\d{8}$/.test(job) && fits) return name;
  throw new PipelineError(
    'USAGE',
    'the name of a job with a shadow is up to 30 small letters, digits and hyphens, and does not end like a date',
  );
}
