import { createShadow } from '../../db/shadow/create-shadow.ts';
import { readShadows } from '../../db/shadow/find-shadow.ts';
import { PipelineError } from '../../shared/errors.ts';
import { userLogins } from '../../shared/streams/user-logins.ts';
import { tableLines } from '../../shared/text-table.ts';
import { addDays, parseDay, type Day } from '../../shared/time.ts';
import { asOperator, asOwner, tell, type ShadowPort } from './shadow-session.ts';

export interface ShadowOptions {
  readonly job: string;
  readonly from: string;
  readonly to?: string;
  readonly json?: boolean;
}

/** `sluice replay shadow`: makes the table that a replay fills. Resolves with the exit code. @throws PipelineError */
export async function makeShadow(options: ShadowOptions, port: ShadowPort): Promise<number> {
  const days = rangeOf(options);
  const shadow = await asOwner(port, (connection) =>
    createShadow(connection, userLogins, { job: options.job, days }),
  );
  const lines = shadow.made.map((day) => `made ${day}`);
  await tell(port, options.json, shadow, [shadow.name, ...lines]);
  return 0;
}

/** `sluice replay shadows`: what there is, and which days have changed places. @throws PipelineError */
export async function listShadowTables(options: { json?: boolean }, port: ShadowPort): Promise<number> {
  const shadows = await asOperator(port, (connection) => readShadows(connection, userLogins.name));
  const rows = shadows.flatMap(({ job, days }) =>
    days.map(({ day, place, aside, swap }) => [job, day, place, aside, swap?.at ?? '–', swap?.by ?? '–']),
  );
  const lines =
    rows.length === 0
      ? ['no shadow tables']
      : tableLines([['JOB', 'DAY', 'STATE', 'TABLE THAT IS NOT LIVE', 'SINCE', 'BY'], ...rows]);
  await tell(port, options.json, { shadows }, lines);
  return 0;
}

/** A year, and a slip of the keyboard. */
const maxDays = 370;

function rangeOf({ from, to = from }: ShadowOptions): Day[] {
  const [first, last] = [parseDay(from), parseDay(to)];
  if (first === undefined) throw new PipelineError('USAGE', '--from is not a date such as 2026-11-24');
  if (last === undefined) throw new PipelineError('USAGE', '--to is not a date such as 2026-11-24');
  if (last < first) throw new PipelineError('USAGE', '--to is before --from');
  const days: Day[] = [];
  for (let day = first; day <= last; day = addDays(day, 1)) {
    if (days.length === maxDays) throw new PipelineError('USAGE', `more than ${maxDays} days`);
    days.push(day);
  }
  return days;
}
