import type { Connection, Session } from './client.ts';
import { executePage } from './keyset.ts';
import { clearTokens, type ClearedPage } from './queries/clear-tokens.ts';
import { countMasked } from './queries/count-masked.ts';
import type { Stream } from '../shared/streams/stream.ts';
import type { Day } from '../shared/time.ts';

/** Rows a statement looks at: a fraction of a second, and as much to do again after a crash. */
const pageRows = 5_000;

export interface DayTokens {
  readonly rows: number;
  readonly withTokens: number;
}

/** What a day's partition holds; `where`: in another table than the stream's. @throws PipelineError of the database */
export async function tokensOf<M>(
  session: Session,
  stream: Stream<M>,
  day: Day,
  where = stream.name,
): Promise<DayTokens> {
  const { rows } = await session.execute<{ rows: string; with_tokens: string }>(
    countMasked(stream, day, where),
  );
  return { rows: Number(rows[0]?.rows ?? 0), withTokens: Number(rows[0]?.with_tokens ?? 0) };
}

/**
 * Takes the tokens out of a day's rows, page by page, each committed by itself: cut off, it goes on when called again, over the rows that are
 * done at the speed of an index. Returns how many rows lost theirs. Rows that come meanwhile may be passed over: look with {@link tokensOf}.
 * `where`: in another table than the stream's.
 *
 * @throws PipelineError of the database; what was done stays done.
 */
export async function clearDayTokens<M>(
  connection: Connection,
  stream: Stream<M>,
  day: Day,
  onPage: (rows: number) => void = () => {},
  where = stream.name,
): Promise<number> {
  let total = 0;
  for (let after: string | undefined; ;) {
    const { rows } = await executePage<ClearedPage>(
      connection,
      clearTokens(stream, day, after, pageRows, where),
    );
    const page = rows[0];
    if (page === undefined || page.last === null) return total;
    total += page.cleared;
    onPage(page.seen);
    if (page.seen < pageRows) return total;
    after = page.last;
  }
}
