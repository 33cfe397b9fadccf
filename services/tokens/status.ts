import type { Session } from '../../db/client.ts';
import { countArchivedDays } from '../../db/queries/count-archived-days.ts';
import { listTokenEpochTimes, type TokenEpoch } from '../../db/queries/list-token-epochs.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import { countDays, type DayTokens } from './count.ts';
import { readEpochs } from './epochs.ts';

export interface TokenStatus {
  readonly epochs: readonly {
    readonly epoch: number;
    readonly state: TokenEpoch['state'];
    readonly beganAt: string;
    readonly retiredAt: string | null;
  }[];
  /** Live rows, those with a token of another epoch than the current, and those with one of the epoch before besides. */
  readonly rows: number;
  readonly stale: number;
  readonly withPrior: number;
  /** Days with anything left to do. */
  readonly days: readonly DayTokens[];
  /** Days in an archive: they keep the tokens they had when they went there. */
  readonly archivedDays: number;
}

/** Which epochs there are and which tokens the live rows have. Reads every live partition once. */
export async function tokenStatus<M>(session: Session, stream: Stream<M>): Promise<TokenStatus> {
  const { current } = await readEpochs(session);
  const { rows: epochs } = await session.execute(listTokenEpochTimes());
  const counted = await countDays(session, stream, current);
  const archived = await session.execute(countArchivedDays(stream.name));
  const sum = (of: (day: DayTokens) => number) => counted.reduce((total, day) => total + of(day), 0);
  return {
    epochs: epochs.map(({ epoch, state, began_at: beganAt, retired_at: retiredAt }) => ({
      epoch,
      state,
      beganAt,
      retiredAt,
    })),
    rows: sum(({ rows }) => rows),
    stale: sum(({ stale }) => stale),
    withPrior: sum(({ withPrior }) => withPrior),
    days: counted.filter(({ stale, withPrior }) => stale > 0 || withPrior > 0),
    archivedDays: archived.rows[0]?.days ?? 0,
  };
}

/** The same for a person, with what to do next. */
export function describeStatus(status: TokenStatus): string[] {
  const window = status.epochs.find(({ state }) => state === 'prior');
  return [
    'epoch  state    began                 ended',
    ...status.epochs.map(({ epoch, state, beganAt, retiredAt }) =>
      `${String(epoch).padEnd(7)}${state.padEnd(9)}${beganAt.padEnd(22)}${retiredAt ?? ''}`.trimEnd(),
    ),
    '',
    `${status.rows} live rows, ${status.stale} with a token of an epoch before only, ${status.withPrior} with both`,
    ...staleDays(status.days.filter(({ stale }) => stale > 0)),
    ...(status.archivedDays > 0
      ? [`${status.archivedDays} days in the archive keep the tokens they had: retoken after a restore`]
      : []),
    nextStep(status, window !== undefined),
  ];
}

const daysShown = 10;

/** `"  2026-11-24  12 rows"`, the oldest ten. */
export function staleDays(days: readonly DayTokens[]): string[] {
  const lines = days
    .slice(0, daysShown)
    .map(
      ({ day, stale, shredded }) =>
        `  ${day}  ${stale} rows${shredded ? ', shredded: its tokens are yet to be cleared' : ''}`,
    );
  return days.length > daysShown ? [...lines, `  and ${days.length - daysShown} days more`] : lines;
}

function nextStep({ stale, withPrior }: TokenStatus, windowOpen: boolean): string {
  if (stale > 0) return 'next: sluice tokens retoken';
  if (windowOpen) return 'next: sluice tokens finish';
  return withPrior > 0 ? 'next: sluice tokens finish, which was cut off' : 'nothing to do';
}
