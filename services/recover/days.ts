import type { RecoveryDay } from '../../db/queries/list-recovery-days.ts';
import { PipelineError } from '../../shared/errors.ts';
import { printable } from '../../shared/printable.ts';
import type { Day } from '../../shared/time.ts';

/** A day whose events can be opened. */
export interface OpenDay {
  readonly day: Day;
  readonly publicKey: Buffer;
}

/** @returns the day, or the error that says in one sentence why nothing of it can be opened: KEY_DESTROYED, DAY_ARCHIVED, PARTITION_MISSING. */
export function asOpenDay(found: RecoveryDay): OpenDay | PipelineError {
  const { day } = found;
  if (found.shredded_on !== null) {
    const order = found.ticket === null ? '' : ` (ticket ${printable(found.ticket)})`;
    return new PipelineError('KEY_DESTROYED', `${day} was shredded on ${found.shredded_on}${order}`);
  }
  if (!found.attached && found.archive_state !== null && found.archive_state !== 'restored') {
    return new PipelineError('DAY_ARCHIVED', `${day} (${found.archive_state})`);
  }
  if (!found.attached || found.public_key === null) {
    return new PipelineError('PARTITION_MISSING', `${day} has a key, but its rows are not in the database`);
  }
  return { day, publicKey: found.public_key };
}
