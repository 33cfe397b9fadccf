import type { Session } from '../../../db/client.ts';
import { custodyHorizon } from '../../../db/queries/custody-horizon.ts';
import { listCalendar } from '../../../db/queries/list-calendar.ts';
import { PipelineError } from '../../../shared/errors.ts';
import { addDays, dayOf, horizon, type Clock } from '../../../shared/time.ts';
import type { DaysLook } from './snapshot.ts';

/** The calendar begins this many days ago: the horizon, and what retention and archive have left of the weeks before. */
const daysShownBack = 27;

/** Partitions, keys and archives by day. @throws PipelineError of the database */
export async function lookAtDays(
  session: Session,
  options: { readonly table: string; readonly clock: Clock },
): Promise<DaysLook> {
  const { table, clock } = options;
  const today = dayOf(clock());
  const [found] = (await session.execute(custodyHorizon(table, today))).rows;
  if (found === undefined) throw new PipelineError('INTERNAL', 'the horizon is a row');
  const { rows: days } = await session.execute(
    listCalendar(table, addDays(today, -daysShownBack), addDays(today, horizon.daysAhead)),
  );
  return {
    today,
    partitionDays: found.partition_days,
    keyDays: found.key_days,
    days,
    unfinishedShreds: found.unfinished_shreds,
    lastArchiveMs: milliseconds(found.last_archive),
    lastWalMs: milliseconds(found.last_wal),
    walFailures: found.wal_failures,
  };
}

function milliseconds(seconds: number | null): number | null {
  return seconds === null ? null : Math.round(seconds * 1_000);
}
