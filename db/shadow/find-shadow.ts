import { PipelineError } from '../../shared/errors.ts';
import type { Day } from '../../shared/time.ts';
import type { Session } from '../client.ts';
import { partitionName } from '../partition-name.ts';
import { listShadows, listSwaps, type ShadowEntry, type SwapEntry } from '../queries/change-shadow.ts';
import { listAsideTables } from '../queries/list-aside-tables.ts';
import { beforeTable } from './names.ts';

export interface ShadowDay {
  readonly day: Day;
  /** `shadow`: not swapped yet; `swapped`: its rows are live; `unswapped`: they were. */
  readonly place: 'shadow' | SwapEntry['state'];
  /** The table of the day that is not live: the shadow's partition, or what it replaced. */
  readonly aside: string;
  /** What that is read through. */
  readonly reach: string;
  readonly swap: SwapEntry | undefined;
}

export interface Shadow {
  readonly job: string;
  /** `user_logins_shadow_<job>`. */
  readonly name: string;
  readonly plannedAt: Date;
  /** Oldest first. */
  readonly days: readonly ShadowDay[];
}

/** The shadow of a job. @throws PipelineError SHADOW_MISSING */
export async function findShadow(session: Session, table: string, job: string): Promise<Shadow> {
  const [shadow] = await readShadows(session, table, job);
  if (shadow === undefined) throw new PipelineError('SHADOW_MISSING', `job ${JSON.stringify(job)}`);
  return shadow;
}

/** Every shadow of a table, oldest first. @throws PipelineError */
export async function readShadows(session: Session, table: string, job?: string): Promise<Shadow[]> {
  const { rows: entries } = await session.execute(listShadows(table, job));
  const { rows: asides } = await session.execute(listAsideTables(table));
  const shadows: Shadow[] = [];
  for (const entry of entries) {
    const { rows: swaps } = await session.execute(listSwaps(entry.job));
    const days = asides.flatMap((aside): ShadowDay[] => {
      const kind = kindOf(table, entry, aside.day, aside.name);
      if (kind === undefined) return [];
      const swap = swaps.find((one) => one.day === aside.day);
      const place = kind === 'before' ? 'swapped' : (swap?.state ?? 'shadow');
      return [{ day: aside.day, place, aside: aside.name, reach: aside.reach, swap }];
    });
    const { job: of, shadow_name: name, planned_at: plannedAt } = entry;
    shadows.push({ job: of, name, plannedAt: new Date(plannedAt), days });
  }
  return shadows;
}

function kindOf(
  table: string,
  { job, shadow_name: shadow }: ShadowEntry,
  day: Day,
  name: string,
): 'shadow' | 'before' | undefined {
  if (name === partitionName(shadow, day)) return 'shadow';
  return name === beforeTable(table, job, day) ? 'before' : undefined;
}
