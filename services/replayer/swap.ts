import { swapDay, type Direction, type SwappedDay } from '../../db/shadow/swap-day.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { asOnlySwapper, chooseDays, daysOf, tell, type ShadowPort } from './shadow-session.ts';

export interface SwapCommandOptions {
  readonly job: string;
  readonly day?: readonly string[];
  readonly carryMissing?: boolean;
  /** Milliseconds that readers may have to wait for us to get a lock. */
  readonly maxWait: number;
  readonly json?: boolean;
}

/** With the waits between them some two minutes: longer than any query that should run on the live table. */
const attempts = 60;

/**
 * `sluice replay swap` and `unswap`: day by day, oldest first, each in a transaction of its own; a line as each is done. Cut off, or when a day is
 * refused, what was done stays done, and the next run goes on behind it.
 *
 * @throws PipelineError CUSTODY_BUSY while another swaps; SHADOW_MISSING, SHADOW_CONFLICT, DAY_ARCHIVED, BACKFILL_OPEN, DATABASE_UNAVAILABLE
 */
export async function swap(
  direction: Direction,
  options: SwapCommandOptions,
  port: ShadowPort,
): Promise<number> {
  const wanted = daysOf(options.day);
  const { job, carryMissing = false, maxWait: maxWaitMs } = options;
  return asOnlySwapper(port, async (connection) => {
    const { days } = await chooseDays(connection, userLogins.name, job, wanted);
    for (const { day } of days) {
      const limits = { carryMissing, maxWaitMs, attempts };
      const done = await swapDay(connection, userLogins, { job, day, direction }, limits);
      await tell(port, options.json, { job, ...done }, describeDay(done));
    }
    return 0;
  });
}

function describeDay({ day, place, already, carried, staleTokens, attempts, heldMs }: SwappedDay): string[] {
  if (already) return [`${day} is ${place === 'swapped' ? 'swapped already' : 'not swapped'}`];
  const rows = carried === 0 ? '' : `, ${carried.toLocaleString('en-US')} rows carried over as they are`;
  const stale =
    staleTokens === 0
      ? ''
      : `; ${staleTokens.toLocaleString('en-US')} rows have tokens of before: run "sluice tokens retoken"`;
  return [
    `${place} ${day}${rows}: the table was locked for ${Math.ceil(heldMs)} ms, at attempt ${attempts}${stale}`,
  ];
}
