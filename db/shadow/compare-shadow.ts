import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';
import type { Session } from '../client.ts';
import {
  comparedColumns,
  compareDay,
  listDifferent,
  listReadable,
  type DayCounts,
  type DayPair,
  type Difference,
} from '../queries/compare-day.ts';
import type { Column } from '../queries/copy-day.ts';
import type { ShadowDay } from './find-shadow.ts';

export interface ComparedDay {
  readonly day: Day;
  /** What the live table is compared with: its shadow, or what it was before the swap. */
  readonly with: 'shadow' | 'before';
  readonly both: number;
  readonly onlyLive: number;
  readonly onlyAside: number;
  /** Rows on both sides that are not the same in some column. */
  readonly different: number;
  /** How many of them by column; columns without a difference are left out. */
  readonly columns: Readonly<Record<string, number>>;
  /** Rows whose tokens are of two epochs and cannot be compared. */
  readonly otherEpoch: number;
  /** The first few events of each kind. */
  readonly examples: Readonly<Record<'onlyLive' | 'onlyAside' | 'different', readonly string[]>>;
}

/** Columns of which nothing is said, for they differ anyhow or may not be read; and columns that only one side has, or has with another type. */
export interface Uncompared {
  readonly columns: readonly string[];
  readonly unlike: readonly string[];
}

/** Which columns of two tables {@link compareShadowDay} compares, and which it does not. @throws PipelineError */
export async function planComparison<M>(
  session: Session,
  stream: Stream<M>,
  aside: string,
): Promise<Pick<DayPair, 'plain' | 'tokens'> & { readonly uncompared: Uncompared }> {
  const { rows: live } = await session.execute(listReadable(stream.name));
  const { rows: other } = await session.execute(listReadable(aside));
  const written = (columns: readonly Column[]) => new Set(columns.map(({ name, type }) => `${name} ${type}`));
  const [here, there] = [written(live), written(other)];
  const unlike = [...live, ...other].filter(
    ({ name, type }) => !here.has(`${name} ${type}`) || !there.has(`${name} ${type}`),
  );
  const unlikeNames = new Set(unlike.map(({ name }) => name));
  const hidden = [...live, ...other].filter(({ readable }) => !readable).map(({ name }) => name);
  // Sealed anew by each replay, under another key; when it was written; and what a window between two epochs leaves beside a token.
  const uncompared = new Set([
    ...stream.personalFields.flatMap(({ sealedColumn, priorColumn }) => [sealedColumn, priorColumn]),
    'dek_id',
    'ingested_at',
    ...hidden.filter((name) => !unlikeNames.has(name)),
  ]);
  const masked = new Set(stream.personalFields.map(({ maskedColumn }) => maskedColumn));
  const left = live
    .map(({ name }) => name)
    .filter((name) => !uncompared.has(name) && !unlikeNames.has(name))
    .filter((name) => name !== 'create_date' && name !== 'event_id');
  return {
    plain: left.filter((name) => !masked.has(name)),
    tokens: left.filter((name) => masked.has(name)),
    uncompared: { columns: [...uncompared], unlike: [...unlikeNames] },
  };
}

/**
 * A day of the live table beside its shadow, or beside what the shadow has replaced: counts, names of columns, and ids of events. **No value of a
 * row is read out**: who compares sees no personal data.
 *
 * @throws PipelineError of the database
 */
export async function compareShadowDay<M>(
  session: Session,
  stream: Stream<M>,
  { day, place, reach }: ShadowDay,
  examples: number,
): Promise<ComparedDay> {
  const { plain, tokens } = await planComparison(session, stream, reach);
  const pair: DayPair = { day, live: stream.name, aside: reach, plain, tokens };
  const { rows } = await session.execute<DayCounts>(compareDay(pair));
  const counts = rows[0];
  const columns = comparedColumns(pair)
    .map((column, i) => [column, Number(counts?.[`different_${i}`] ?? 0)] as const)
    .filter(([, different]) => different > 0);
  const first = async (kind: Difference) => {
    if (examples === 0 || Number(counts?.[kind] ?? 0) === 0) return [];
    const { rows: found } = await session.execute(listDifferent(pair, kind, examples));
    return found.map(({ event_id: id }) => id);
  };
  return {
    day,
    with: place === 'swapped' ? 'before' : 'shadow',
    both: Number(counts?.both ?? 0),
    onlyLive: Number(counts?.only_live ?? 0),
    onlyAside: Number(counts?.only_aside ?? 0),
    different: Number(counts?.different ?? 0),
    columns: Object.fromEntries(columns),
    otherEpoch: Number(counts?.other_epoch ?? 0),
    examples: {
      onlyLive: await first('only_live'),
      onlyAside: await first('only_aside'),
      different: await first('different'),
    },
  };
}

/** Whether there is nothing to tell of. */
export function isSame({ onlyLive, onlyAside, different, otherEpoch }: ComparedDay): boolean {
  return onlyLive + onlyAside + different + otherEpoch === 0;
}
