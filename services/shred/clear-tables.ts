import { clearDayTokens, tokensOf, type DayTokens } from '../../db/clear-tokens.ts';
import type { Connection } from '../../db/client.ts';
import type { AsideTable } from '../../db/queries/list-aside-tables.ts';
import type { Day } from '../../shared/time.ts';
import type { ShredParts } from './parts.ts';

/** Writers that seal to the day when it is ordered may go on for a minute: that often rows are looked for again. */
const passes = 3;

/** What a table of a day had in it when it was looked at last, and how many rows lost their tokens before. */
export interface ClearedTable extends DayTokens {
  readonly rowsCleared: number;
}

/** Of a day that has no table. */
export const nothing: ClearedTable = { rowsCleared: 0, rows: 0, withTokens: 0 };

/** Takes the tokens out of a day of a table, a few times while new ones come. @throws PipelineError of the database */
export async function clearTable<M>(
  parts: ShredParts<M>,
  connection: Connection,
  day: Day,
  table = parts.stream.name,
): Promise<ClearedTable> {
  let rowsCleared = 0;
  let { rows, withTokens } = await tokensOf(connection, parts.stream, day, table);
  for (let pass = 0; pass < passes && withTokens > 0; pass++) {
    const total = rows;
    const onPage = (page: number) => parts.onProgress?.(page, total);
    rowsCleared += await clearDayTokens(connection, parts.stream, day, onPage, table);
    ({ rows, withTokens } = await tokensOf(connection, parts.stream, day, table));
  }
  return { rowsCleared, rows, withTokens };
}

/** A table of a backfill. */
export interface ClearedAside {
  readonly name: string;
  readonly done: ClearedTable;
}

/** The same of every table of a backfill. @throws PipelineError of the database */
export async function clearAsides<M>(
  parts: ShredParts<M>,
  connection: Connection,
  day: Day,
  asides: readonly AsideTable[],
): Promise<ClearedAside[]> {
  const cleared: ClearedAside[] = [];
  for (const { name, reach } of asides) {
    cleared.push({ name, done: await clearTable(parts, connection, day, reach) });
  }
  return cleared;
}

/** By table; only once none has a token. */
export function asidesProof(
  asides: readonly ClearedAside[],
): Record<string, { rows: number; withTokens: 0 }> {
  return Object.fromEntries(
    asides.map(({ name, done }) => [name, { rows: done.rows, withTokens: 0 as const }]),
  );
}
