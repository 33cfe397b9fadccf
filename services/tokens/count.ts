import type { Session } from '../../db/client.ts';
import { countTokens } from '../../db/queries/count-tokens.ts';
import { listTokenDays, type TokenDay } from '../../db/queries/list-token-days.ts';
import { tokenPrefix } from '../../shared/crypto/token.ts';
import type { Stream } from '../../shared/streams/stream.ts';
import type { Day } from '../../shared/time.ts';

export interface DayTokens {
  readonly day: Day;
  readonly rows: number;
  /** Rows with a token of another epoch than the current. */
  readonly stale: number;
  /** Rows that carry a token of an epoch before besides. */
  readonly withPrior: number;
  /** Its private key is destroyed, so its tokens can only be cleared. */
  readonly shredded: boolean;
}

/** Which tokens the live rows have, day by day: days without a row are left out. Reads every live partition once. */
export async function countDays<M>(
  session: Session,
  stream: Stream<M>,
  current: number,
): Promise<DayTokens[]> {
  const counted: DayTokens[] = [];
  const { rows: days } = await session.execute<TokenDay>(listTokenDays());
  for (const { day, destroyed } of days) {
    const { rows } = await session.execute(countTokens(stream, day, tokenPrefix(current)));
    const [count] = rows;
    if (count === undefined || count.rows === '0') continue;
    counted.push({
      day,
      rows: Number(count.rows),
      stale: Number(count.stale),
      withPrior: Number(count.with_prior),
      shredded: destroyed,
    });
  }
  return counted;
}
