import type { TransitIdentity } from '../../shared/crypto/transit.ts';
import type { IncomingRecord } from '../../shared/kafka/ports.ts';
import { readDeadLetter } from '../../shared/streams/dead-letter.ts';
import { identityOf } from '../../shared/streams/identity.ts';
import { matches, matchesRecord } from '../../shared/streams/selection.ts';
import { dayOf } from '../../shared/time.ts';
import { filterOf, type ReplayPlan } from './plan.ts';

/** Whether a record is selected, as far as can be seen without opening it. */
export type Selects = (record: IncomingRecord) => boolean;

/** On the dead-letter topic, what is no dead letter is not selected. */
export function selectorOf(plan: ReplayPlan): Selects {
  const filter = filterOf(plan);
  if (plan.source === 'dead') {
    return (record) => {
      const letter = readDeadLetter(record.headers);
      return letter !== undefined && matches(filter, letter, record);
    };
  }
  const { fromMs, toMs, eventIds } = filter;
  if (fromMs === undefined && toMs === undefined && eventIds === undefined) return () => true;
  return (record) => matchesRecord(filter, record, identityOf(record));
}

/** The day that a record counts under: of its event, UTC; `none` when its time is none. */
export function dayOfRecord(
  record: IncomingRecord,
  identity: TransitIdentity | undefined = identityOf(record),
): string {
  const ms = identity?.sentAtMs ?? record.timestampMs;
  return Number.isSafeInteger(ms) && Math.abs(ms) < 8.64e15 ? dayOf(ms) : 'none';
}
